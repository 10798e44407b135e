// The folder in which an output waits to be sent: a killed process leaves its own, and the next one removes it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeSpool } from '../../src/sink/stale-parts.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-spool-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('goes with the next one when its process is gone, and only then', () => {
  const own = makeSpool(folder);
  const gone = spawnSync(process.execPath, ['-e', '']).pid;
  const left = own.replace(`.${process.pid}-`, `.${gone}-`);
  const elsewhere = left.replace(/-[0-9a-f]+-/, '-0123456789abcdef-');
  const other = join(folder, `.colweave-output.${gone}`);
  for (const each of [left, elsewhere, other]) {
    mkdirSync(each);
    writeFileSync(join(each, 'part'), 'half');
  }
  const next = makeSpool(folder);
  expect([own, next, elsewhere, other].map(existsSync)).toEqual([true, true, true, true]);
  expect(existsSync(left)).toBe(false);
});
