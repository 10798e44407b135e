// 200 files corrupted by chance, and some written again with equal content: the checker in Python, written from the man page,
// says of each what verify says.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { isDamage } from '../../src/verify/findings.ts';
import { BASES } from '../mutation/bases.ts';
import { copyOf, wholeOf } from '../mutation/campaign.ts';
import { makeOutput, readTable, type Subject, scratch, verify, writeTable } from '../mutation/harness.ts';
import { JOIN_KINDS } from '../mutation/join-kinds.ts';
import { randomOf } from '../mutation/random.ts';
import { RANDOM_KINDS } from '../mutation/random-kinds.ts';

const TOP = new URL('../..', import.meta.url).pathname;
/** Those that a receipt alone can tell. */
const KINDS = [...RANDOM_KINDS, ...JOIN_KINDS].filter(({ sourcesOnly }) => !sourcesOnly);
const MUTATED = 200;
const REWRITTEN = 40;
const SEED = 20260101;
const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));

function findPython(): string | undefined {
  const { stdout } = spawnSync(join(TOP, 'test/rigs/venv.sh'), ['--where'], { encoding: 'utf8' });
  const path = process.env.COLWEAVE_PYTHON ?? (stdout ?? '').trim();
  return existsSync(path) ? path : undefined;
}

interface Made {
  readonly path: string;
  readonly what: string;
}

async function makeFiles(): Promise<Made[]> {
  const tables: (Subject & { readonly name: string })[] = [];
  for (const [i, { name, options }] of BASES.entries()) {
    const path = join(folder, `base${i}.parquet`);
    await makeOutput(path, options);
    tables.push({ name, options, table: await readTable(path), ...(await wholeOf(folder, options)) });
  }
  const made: Made[] = [];
  for (let i = 0; made.length < MUTATED + REWRITTEN; i++) {
    const random = randomOf(SEED + i);
    const kind = made.length < MUTATED ? KINDS[i % KINDS.length]! : undefined;
    const subject = random.pick(tables.filter(({ options }) => kind?.fits?.(options) ?? true));
    const { name } = subject;
    const copy = copyOf(subject.table);
    if (kind !== undefined && !kind.change(copy, random, subject)) continue;
    const path = join(folder, `file${i}.parquet`);
    await writeTable(path, copy, 'snappy');
    made.push({ path, what: `seed ${SEED + i}: ${kind?.name ?? 'written again'}, ${name}` });
  }
  return made;
}

const python = findPython();
const reason = 'no Python environment: run test/rigs/venv.sh';
if (python === undefined && process.env.CI) it('has its Python environment', () => expect.fail(reason));

it.skipIf(python === undefined)(
  `${MUTATED} corrupted files: two checkers, one verdict (skipped without Python)`,
  async () => {
    const made = await makeFiles();
    const input = JSON.stringify({ check: made.map(({ path }) => path), rewrite: [] });
    const script = join(TOP, 'test/interop/receipt_peers.py');
    const run = spawnSync(python!, [script], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
    expect(run.stderr).toBe('');
    const said = JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Readonly<Record<string, readonly string[]>>;
    const disagree: string[] = [];
    let found = 0;
    for (const { path, what } of made) {
      const theirs = said[path]!.filter((fault) => !/^row group \d+: other bytes/.test(fault));
      const ours = (await verify(path)).findings.filter(isDamage);
      found += Number(theirs.length > 0);
      if (theirs.length > 0 !== ours.length > 0)
        disagree.push(`${what}: they say ${theirs}, we say ${ours.map(({ text }) => text)}`);
    }
    expect(disagree).toEqual([]);
    expect([made.length, found]).toEqual([MUTATED + REWRITTEN, MUTATED]);
  },
);
