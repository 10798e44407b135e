// Owns key files: the keys of one input file, kept in a directory so that other jobs need not read them again.
// A key file is named by what it is made from (identity/1 of the input, the key, and how its columns are stored); it holds
// a line of JSON, then the key words (little-endian u32, row-major). Jobs share a directory: files appear whole, by rename.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Emit } from '../core/events.ts';
import { type KeySpec, type KeyTable, keyStride } from '../core/key-spec.ts';
import { fieldNamed, typeName } from '../core/schema.ts';
import type { Dataset } from '../source/dataset.ts';
import type { SourceFile } from '../source/types.ts';
import { readKeys } from './read.ts';
import { keyColumnNames } from './spec.ts';

const FORMAT = 'colweave keys/1';

interface KeyFileHead {
  readonly format: string;
  readonly madeFrom: string;
  readonly rows: number;
  readonly crc: number;
}

/**
 * The keys of all rows of a dataset: from the key files in `folder` where they are, else from the inputs, whose keys are
 * then kept there. A key file that is damaged or of another input is made anew; one that cannot be written is a warning.
 * They may be stale all the same: the join compares the keys of every row that it moves with the input.
 * Errors: those of `readKeys`.
 */
export async function readKeptKeys(
  dataset: Dataset,
  spec: KeySpec,
  folder: string,
  { emit, signal }: { readonly emit: Emit; readonly signal: AbortSignal },
): Promise<KeyTable> {
  const stride = keyStride(spec);
  const { descriptor } = dataset;
  const words = new Uint32Array(new SharedArrayBuffer(descriptor.rows * stride * 4));
  for (const [i, { firstRow, descriptor: file }] of descriptor.files.entries()) {
    const madeFrom = makingOf(dataset.files[i]!, spec);
    const path = join(folder, `${createHash('sha256').update(madeFrom).digest('hex').slice(0, 40)}.keys`);
    let own = loadKeys(path, { madeFrom, rows: file.rows, stride });
    if (own === undefined) {
      const range = { start: firstRow, end: firstRow + file.rows };
      own = (await readKeys(dataset, spec, range, signal)).words;
      keepKeys(path, own, { format: FORMAT, madeFrom, rows: file.rows, crc: crc32(wordBytes(own)) }, emit);
    }
    words.set(own, firstRow * stride);
  }
  return { spec, rows: descriptor.rows, stride, words };
}

/** What tells that the keys are still those: another file, or the same one written anew, differs in one of these. */
function makingOf(file: SourceFile, spec: KeySpec): string {
  const { identity, schema, uri } = file.descriptor;
  const names = keyColumnNames(spec, schema, [uri]);
  const columns = names.map((name) => [name, typeName(fieldNamed(schema, name)!.type), file.bytesOf([name])]);
  return JSON.stringify([
    FORMAT,
    identity.size,
    identity.id,
    identity.tree ?? null,
    identity.entries,
    spec.columns,
    columns,
  ]);
}

/** A copy: shared memory is refused by some of what takes it. */
const wordBytes = (words: Uint32Array): Uint8Array => new Uint8Array(words.slice().buffer);

/** undefined: absent, damaged, or of something else. */
function loadKeys(
  path: string,
  { madeFrom, rows, stride }: { readonly madeFrom: string; readonly rows: number; readonly stride: number },
): Uint32Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  const end = bytes.indexOf(0x0a);
  if (end < 0 || bytes.length - end - 1 !== rows * stride * 4) return undefined;
  let head: Partial<KeyFileHead>;
  try {
    head = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString('utf8')) as Partial<KeyFileHead>;
  } catch {
    return undefined;
  }
  const body = Uint8Array.from(bytes.subarray(end + 1));
  const good = head.format === FORMAT && head.madeFrom === madeFrom && head.rows === rows && head.crc === crc32(body);
  return good ? new Uint32Array(body.buffer) : undefined;
}

/** Beside its name, then renamed: whoever reads at the same time sees all or nothing. */
function keepKeys(path: string, words: Uint32Array, head: KeyFileHead, emit: Emit): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeWhole(path, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), wordBytes(words)]));
  } catch (cause) {
    emit({ type: 'warning', code: 'key/not-kept', text: `keys cannot be kept: ${(cause as Error).message}` });
  }
}

function writeWhole(path: string, bytes: Uint8Array): void {
  const part = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(part, bytes);
    renameSync(part, path);
  } catch (cause) {
    rmSync(part, { force: true });
    throw cause;
  }
}
