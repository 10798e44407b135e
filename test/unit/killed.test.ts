// Killed at any moment while an output directory is replaced, by more or fewer files: never a directory that says complete and is not,
// and the same command with -f finishes the work, whatever was left.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const TOP = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const fixtures = [1, 2, 3].map((i) => join(TOP, 'fixtures', `nano_${i}.root`));
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-killed-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Kills itself with KILL_AT renames and links done: the moments at which something changes under a final name. */
const KILLER = `data:text/javascript,${encodeURIComponent(`
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
let left = Number(process.env.KILL_AT);
const tick = () => { if (left-- === 0) process.kill(process.pid, 'SIGKILL'); };
for (const name of ['rename', 'link', 'unlink']) {
  const real = fs.promises[name];
  fs.promises[name] = (...words) => { tick(); return real(...words); };
}
for (const name of ['renameSync', 'rmSync']) {
  const real = fs[name];
  fs[name] = (...words) => { tick(); return real(...words); };
}
syncBuiltinESMExports();
`)}`;

function colweave(
  words: readonly string[],
  killAt?: number,
): Promise<{ readonly code: number | null; stderr: string }> {
  const env = { ...process.env, ...(killAt === undefined ? {} : { KILL_AT: String(killAt) }) };
  const before = killAt === undefined ? [] : ['--import', KILLER];
  const child = spawn(process.execPath, [...before, join(TOP, 'bin', 'colweave.js'), ...words], { env });
  let stderr = '';
  child.stderr.on('data', (bytes) => {
    stderr += bytes;
  });
  child.stdout.resume();
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, stderr }));
  });
}

const into = (events: number) => [
  'join',
  ...fixtures,
  '-q',
  '-c',
  'MET_pt',
  '-j',
  '1',
  '-f',
  '--events-per-file',
  String(events),
  '-o',
  `${folder}/out/`,
];
const parts = () => readdirSync(join(folder, 'out')).filter((name) => name.endsWith('.parquet'));

it('a directory is complete, or does not say so', { timeout: 120_000 }, async () => {
  expect((await colweave(into(40))).code).toBe(0);
  let killed = 0;
  for (let at = 0; ; at += 2) {
    // many files and few in turn, never a number that is there already
    const events = (at % 4 === 0 ? 100 : 40) + at;
    const { code } = await colweave(into(events), at);
    if (code === 0) break;
    killed++;
    expect(code, 'killed').toBeNull();
    if (existsSync(join(folder, 'out', '_receipt.json'))) {
      const verified = await colweave(['verify', '-q', join(folder, 'out')]);
      expect(verified.code, verified.stderr).toBe(0);
    }
    if (at % 8 === 0) continue; // twice killed in a row too
    const again = await colweave(into(events));
    expect(again.code, again.stderr).toBe(0);
    expect(parts()).toHaveLength(Math.ceil(300 / events));
  }
  expect(killed).toBeGreaterThan(5);
  expect((await colweave(into(150))).code).toBe(0);
  expect(parts()).toHaveLength(2);
  expect((await colweave(['verify', '-q', join(folder, 'out'), '--against', ...fixtures])).code).toBe(0);
  const left = readdirSync(join(folder, 'out')).filter((name) => !name.startsWith('.'));
  expect(left.sort()).toEqual(['_receipt.json', 'part-0.parquet', 'part-1.parquet']);
});
