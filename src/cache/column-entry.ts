// Owns the format column/1 of an entry: one column of one file in chunks of rows, each compressed and under a checksum.
// Layout: magic, chunks, footer as JSON, u32 length and sha256 of the footer, magic. Every byte is under a check.
import { hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { compressZstd, decompressZstd } from '../codec/zstd.ts';
import { invariant } from '../core/check.ts';
import { type Column, concatColumns, emptyColumn, sliceColumn } from '../core/column.ts';
import { bytesOf } from '../core/dtype.ts';
import { planPacking, unpackColumns } from '../core/pack.ts';
import type { Field } from '../core/schema.ts';
import type { ColumnKey } from './entry-name.ts';
import type { NewFile } from './place.ts';

export const ENTRY_FORMAT = 'column/1';
const MAGIC = Buffer.from('CWCOL/1\n');
const DIGEST_BYTES = 32;
const TAIL_BYTES = 4 + DIGEST_BYTES + MAGIC.length;
/** What is read at first: the footer of most entries is in it. */
const END_BYTES = 16 * 1024;
/** The same in every entry, so that lists of one collection have equal offsets in equal chunks. */
export const CHUNK_ROWS = 32_768;

interface EntryChunk {
  readonly rows: number;
  readonly offset: number;
  readonly bytes: number;
  /** Before compression. */
  readonly raw: number;
  /** Of the bytes as stored. */
  readonly sha256: string;
  /** Lists: equal where all rows are equally long. */
  readonly lengths?: string;
}
export interface EntryFooter {
  readonly format: typeof ENTRY_FORMAT;
  readonly key: ColumnKey;
  /** For people: where it came from, without credentials. */
  readonly uri: string;
  readonly field: Field;
  readonly rows: number;
  readonly chunks: readonly EntryChunk[];
}

/** The bytes are not those that were written. Never for users: whoever meets it sets the entry aside. */
export class DamagedEntry extends Error {
  override readonly name = 'DamagedEntry';
}

export interface EntryWriter {
  /** The next rows: CHUNK_ROWS, or fewer at the end. */
  add(column: Column): void;
  /** Bytes of the whole entry. */
  finish(): number;
}

/** Writes to `file`, which the caller publishes or abandons. */
export function writeEntry(file: NewFile, about: Omit<EntryFooter, 'format' | 'chunks'>): EntryWriter {
  const chunks: EntryChunk[] = [];
  let offset = MAGIC.length;
  let rows = 0;
  file.write(MAGIC);
  return {
    add(column) {
      invariant(rows % CHUNK_ROWS === 0 && column.length <= CHUNK_ROWS, 'chunks of one size, but for the last');
      const stored = withLengths(column);
      const packing = planPacking(column.length, [stored]);
      const raw = new Uint8Array(packing.bytes);
      packing.writeTo(raw);
      const bytes = compressZstd(raw, 1);
      file.write(bytes);
      const lengths = stored.kind === 'list' ? { lengths: digest(bytesOf(stored.offsets)).slice(0, 32) } : {};
      const place = { offset, bytes: bytes.length, raw: raw.length, sha256: digest(bytes) };
      chunks.push({ rows: column.length, ...place, ...lengths });
      offset += bytes.length;
      rows += column.length;
    },
    finish() {
      invariant(rows === about.rows, 'an entry holds all rows');
      const footer: EntryFooter = { format: ENTRY_FORMAT, ...about, chunks };
      const text = Buffer.from(JSON.stringify(footer));
      const tail = Buffer.alloc(TAIL_BYTES);
      tail.writeUInt32LE(text.length, 0);
      Buffer.from(digest(text), 'hex').copy(tail, 4);
      MAGIC.copy(tail, 4 + DIGEST_BYTES);
      file.write(Buffer.concat([text, tail]));
      return offset + text.length + tail.length;
    },
  };
}

const digest = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** Offsets as the lengths of the lists, which compress well; unpacked, they are summed up again. */
function withLengths(column: Column): Column {
  if (column.kind === 'flat') return column;
  const offsets = new Int32Array(column.length + 1);
  for (let i = 1; i <= column.length; i++) offsets[i] = column.offsets[i]! - column.offsets[i - 1]!;
  const end = column.offsets[column.length]!;
  if (column.kind === 'utf8') return { ...column, offsets, bytes: column.bytes.subarray(0, end) };
  return { ...column, offsets, items: withLengths(sliceColumn(column.items, 0, end)) };
}

/** Sums in place; the packed items of a list are as many as its lengths say. */
function withOffsets(column: Column): Column {
  if (column.kind === 'flat') return column;
  const { offsets } = column;
  for (let i = 1; i <= column.length; i++) offsets[i] = offsets[i - 1]! + offsets[i]!;
  if (column.kind === 'utf8') return column;
  const length = offsets[column.length]!;
  return { ...column, items: withOffsets({ ...column.items, length }) };
}

/** An entry open for reading; what was read last is kept for a read that goes on there. */
export interface EntryReader {
  readonly footer: EntryFooter;
  /** Throws DamagedEntry. */
  read(rowStart: number, rowEnd: number): Column;
  /** Names the lengths of the lists in these rows; undefined for other columns. */
  lengthsOf(rowStart: number, rowEnd: number): string | undefined;
  /** Looks at every byte. Throws DamagedEntry. */
  check(): void;
  forget(): void;
  close(): void;
}

/** Undefined where there is no such file. Throws DamagedEntry where it does not hold what was written. */
export function openEntry(path: string, key?: ColumnKey): EntryReader | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    // gone, or never there; one that may not be read is as good as absent
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  try {
    const footer = readFooter(descriptor);
    if (key !== undefined && JSON.stringify(footer.key) !== JSON.stringify(key)) {
      throw new DamagedEntry('it is the entry of another column');
    }
    return entryReader(descriptor, footer);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function entryReader(descriptor: number, footer: EntryFooter): EntryReader {
  const { chunks, field } = footer;
  let kept: { readonly index: number; readonly column: Column } | undefined;
  let open = true;
  const load = (index: number): Column => {
    if (kept?.index === index) return kept.column;
    kept = { index, column: decodeChunk(descriptor, chunks[index]!) };
    return kept.column;
  };
  const span = (rowStart: number, rowEnd: number) => {
    const first = Math.floor(rowStart / CHUNK_ROWS);
    return chunks.slice(first, Math.ceil(rowEnd / CHUNK_ROWS)).map((chunk, i) => ({ chunk, index: first + i }));
  };
  return {
    footer,
    read(rowStart, rowEnd) {
      invariant(rowStart >= 0 && rowEnd <= footer.rows, 'rows of the file');
      if (rowEnd <= rowStart) return emptyColumn(field.type);
      const parts = span(rowStart, rowEnd).map(({ chunk, index }) => {
        const start = index * CHUNK_ROWS;
        return sliceColumn(load(index), Math.max(0, rowStart - start), Math.min(chunk.rows, rowEnd - start));
      });
      return concatColumns(field.type, parts);
    },
    lengthsOf(rowStart, rowEnd) {
      const all = span(rowStart, rowEnd).map(({ chunk }) => chunk.lengths);
      return all.length === 0 || all.includes(undefined) ? undefined : all.join();
    },
    check() {
      let at = MAGIC.length;
      for (const chunk of chunks) {
        if (chunk.offset !== at) throw new DamagedEntry('its chunks do not follow one another');
        decodeChunk(descriptor, chunk);
        at += chunk.bytes;
      }
    },
    forget() {
      kept = undefined;
    },
    close() {
      if (open) closeSync(descriptor);
      open = false;
    },
  };
}

function readFooter(descriptor: number): EntryFooter {
  const { size } = fstatSync(descriptor);
  if (size < MAGIC.length + TAIL_BYTES) throw new DamagedEntry('it is cut short');
  if (!MAGIC.equals(readExactly(descriptor, 0, MAGIC.length))) throw new DamagedEntry('its first bytes are others');
  const end = readExactly(descriptor, Math.max(0, size - END_BYTES), Math.min(size, END_BYTES));
  const tail = end.subarray(end.length - TAIL_BYTES);
  if (!MAGIC.equals(tail.subarray(4 + DIGEST_BYTES))) throw new DamagedEntry('it is cut short');
  const length = tail.readUInt32LE(0);
  const at = size - TAIL_BYTES - length;
  if (at < MAGIC.length) throw new DamagedEntry('its footer is longer than itself');
  const text =
    length + TAIL_BYTES <= end.length
      ? end.subarray(end.length - TAIL_BYTES - length, end.length - TAIL_BYTES)
      : readExactly(descriptor, at, length);
  if (digest(text) !== tail.toString('hex', 4, 4 + DIGEST_BYTES)) throw new DamagedEntry('its footer is damaged');
  const footer = JSON.parse(text.toString('utf8')) as EntryFooter;
  const last = footer.chunks.at(-1);
  if (at !== (last === undefined ? MAGIC.length : last.offset + last.bytes)) {
    throw new DamagedEntry('its footer is of another entry');
  }
  return footer;
}

function decodeChunk(descriptor: number, chunk: EntryChunk): Column {
  const bytes = readExactly(descriptor, chunk.offset, chunk.bytes);
  if (digest(bytes) !== chunk.sha256) throw new DamagedEntry('a chunk is damaged');
  const [column] = unpackColumns(decompressZstd(bytes, chunk.raw));
  invariant(column !== undefined && column.length === chunk.rows, 'a chunk holds its rows of one column');
  return withOffsets(column);
}

function readExactly(descriptor: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let at = 0; at < length; ) {
    const count = readSync(descriptor, bytes, at, length - at, offset + at);
    if (count === 0) throw new DamagedEntry('it is cut short');
    at += count;
  }
  return bytes;
}
