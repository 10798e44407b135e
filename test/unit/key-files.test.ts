// The keys of input files kept for other jobs: the same output, and no trust in what is kept.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions } from '../../src/command/types.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import type { WorkEvent } from '../../src/core/events.ts';
import { setWorkerEntry } from '../../src/pool/pool.ts';

let folder = '';
let index = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-keys-'));
  index = join(folder, 'deep', 'index');
  setWorkerEntry(new URL('../../src/cli/main.ts', import.meta.url));
});
afterEach(() => rmSync(folder, { recursive: true }));

const fixture = (name: string) => new URL(`../../fixtures/${name}`, import.meta.url).pathname;
const PRIMARY = ['nano_1.root', 'nano_2.root', 'nano_3.root'].map(fixture);
const FRIENDS = ['friend_partial.root', 'friend_i64.parquet', 'friend_aligned_1.root'].map(fixture);
const warnings: WorkEvent[] = [];

async function joined(name: string, more: Partial<JoinOptions> = {}): Promise<Buffer> {
  const output = join(folder, name);
  const options: JoinOptions = {
    primary: PRIMARY,
    friends: FRIENDS.map((file, i) => ({ label: `f${i}`, files: [file] })),
    how: 'outer',
    columns: [],
    layout: 'arrow',
    missing: { kind: 'reason' },
    schema: 'strict',
    dropUnreadable: false,
    output,
    writer: 'parquet',
    compression: 'zstd',
    dryRun: false,
    receipt: false,
    force: false,
    jobs: 1,
    ...more,
  };
  const emit = (event: WorkEvent) => event.type === 'warning' && warnings.push(event);
  await runJoin(options, { emit, signal: new AbortController().signal });
  return readFileSync(output);
}

const keyFiles = () => readdirSync(index).map((name) => join(index, name));

/** Writes a key file with other words under a right checksum: what a broken tool or an attacker might leave. */
function forge(path: string, change: (words: Uint32Array) => void): void {
  const bytes = readFileSync(path);
  const end = bytes.indexOf(0x0a);
  const head = JSON.parse(bytes.subarray(0, end).toString()) as { crc: number };
  const words = new Uint32Array(Uint8Array.from(bytes.subarray(end + 1)).buffer);
  change(words);
  head.crc = crc32(new Uint8Array(words.buffer));
  writeFileSync(path, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), new Uint8Array(words.buffer)]));
}

test('kept keys give the same bytes, for one thread and two', async () => {
  const plain = await joined('plain.parquet');
  expect(plain.equals(await joined('first.parquet', { keyIndex: index }))).toBe(true);
  expect(keyFiles()).toHaveLength(PRIMARY.length + FRIENDS.length);
  expect(plain.equals(await joined('second.parquet', { keyIndex: index }))).toBe(true);
  expect(plain.equals(await joined('third.parquet', { keyIndex: index, jobs: 2 }))).toBe(true);
});

test.each([
  ['event numbers exchanged between two events', (words: Uint32Array) => words.set([words[6]!, words[2]!], 2)],
  ['an event number above 2^32', (words: Uint32Array) => words.set([words[3]! + 1], 3)],
])('%s in a key file stop the join', async (_, change) => {
  await joined('first.parquet', { keyIndex: index });
  for (const path of keyFiles()) {
    const before = readFileSync(path);
    forge(path, change);
    const error = await joined('bad.parquet', { keyIndex: index }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ColweaveError);
    expect((error as ColweaveError).code).toBe('source/changed');
    expect((error as ColweaveError).details[0]).toMatch(/^matched: run \d+/);
    expect(readdirSync(folder)).not.toContain('bad.parquet');
    writeFileSync(path, before);
  }
});

test('a damaged or cut key file is made anew', async () => {
  const plain = await joined('first.parquet', { keyIndex: index });
  const [one, two, three] = keyFiles();
  const sound = [one, two, three].map((path) => readFileSync(path!));
  writeFileSync(one!, sound[0]!.subarray(0, 100));
  const flipped = Buffer.from(sound[1]!);
  flipped[flipped.length - 1] = flipped.at(-1)! ^ 1;
  writeFileSync(two!, flipped);
  writeFileSync(three!, 'no key file\n');
  expect(plain.equals(await joined('second.parquet', { keyIndex: index }))).toBe(true);
  expect([one, two, three].map((path) => readFileSync(path!).equals(sound.shift()!))).toEqual([true, true, true]);
});

test('another file under the same name has keys of its own', async () => {
  const path = join(folder, 'input.root');
  cpSync(PRIMARY[0]!, path);
  const alone = { friends: [], how: 'left', keyIndex: index } as const;
  await joined('first.parquet', { ...alone, primary: [path] });
  cpSync(PRIMARY[1]!, path);
  const second = await joined('second.parquet', { ...alone, primary: [path] });
  expect(keyFiles()).toHaveLength(2);
  expect(second.equals(await joined('third.parquet', { friends: [], how: 'left', primary: [path] }))).toBe(true);
});

test('where keys cannot be kept, the join goes on and says so', async () => {
  writeFileSync(join(folder, 'deep'), '');
  warnings.length = 0;
  await joined('first.parquet', { keyIndex: index });
  expect(warnings.length).toBe(PRIMARY.length + FRIENDS.length);
  expect(warnings[0]).toMatchObject({ code: 'key/not-kept' });
});
