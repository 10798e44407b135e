// Owns the floor: seconds of the codec calls alone for the same bytes, and of one copy. No join with these codecs goes below.
import { openStore } from '../bytes/open.ts';
import { compressSnappy } from '../codec/snappy.ts';
import { compressGzip } from '../codec/zlib.ts';
import { compressZstd, type ZstdContent } from '../codec/zstd.ts';
import { ColweaveError } from '../core/errors.ts';
import { Codec, type Encoding } from '../core/parquet-format.ts';
import { contentOf } from '../sink/parquet/page.ts';
import { expandInputs } from '../source/inputs.ts';
import { decompressPage, readPageHeader } from '../source/parquet/page.ts';
import { parquetRowGroups } from '../source/parquet.ts';
import { openSource } from '../source/registry.ts';
import { columnsOf, pageBytes, type RntupleLayout } from '../source/rntuple/layout.ts';
import { unpackObject } from '../source/root/blocks.ts';
import type { RootLayout } from '../source/root/layout.ts';
import type { SourceFile } from '../source/types.ts';
import type { FloorOptions, FloorPart, FloorReport } from './types.ts';

/** Level of the join's writer: what its pages were compressed with. */
const ZSTD_LEVEL = 1;
/** Raw bytes that wait for their turn: small enough to stay in cache between the copy and what follows in a join. */
const BATCH_BYTES = 8 * 2 ** 20;

/** A stretch of a file, and what turns its bytes into raw ones: a basket, or the pages of a column. */
interface Block {
  readonly offset: number;
  readonly length: number;
  readonly unpack: (stored: Uint8Array) => readonly Uint8Array[];
}

interface Clock {
  seconds: number;
  calls: number;
  bytesIn: number;
  bytesOut: number;
}

const clock = (): Clock => ({ seconds: 0, calls: 0, bytesIn: 0, bytesOut: 0 });

const partOf = ({ seconds, ...counts }: Clock): FloorPart => ({ cpuSeconds: seconds, ...counts });

/** Errors: those of opening sources; source/no-column where nothing of an input is in the joined file. */
export async function measureFloor(options: FloorOptions, signal: AbortSignal): Promise<FloorReport> {
  const open = options.tree === undefined ? {} : { tree: options.tree };
  const joined = await openSource(options.joined, {}, signal);
  try {
    const names = new Set(joined.descriptor.schema.fields.map(({ name }) => name));
    const [primary, friend, copy, compress] = [clock(), clock(), clock(), clock()];
    for (const [words, decompress] of [
      [options.primary, primary],
      [options.friend, friend],
    ] as const) {
      for (const { uri, tree } of expandInputs(words)) {
        const file = await openSource(uri, tree === undefined ? open : { tree }, signal);
        await timeBlocks(file, blocksOf(file, names), decompress, copy, signal);
        await file.close();
      }
    }
    const storedBytes = await timePages(joined, compress, signal);
    const cpuSeconds = primary.seconds + friend.seconds + copy.seconds + compress.seconds;
    return {
      what: 'floor',
      cpuSeconds,
      decompressPrimary: partOf(primary),
      decompressFriend: partOf(friend),
      copy: partOf(copy),
      compress: partOf(compress),
      storedBytes,
    };
  } finally {
    await joined.close();
  }
}

function timed<R>(clock: Clock, work: () => R): R {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  clock.seconds += (user + system) / 1e6;
  return result;
}

/** Compressed stretches of the columns that the output has and of their counters; keys are in every source. */
function blocksOf(file: SourceFile, names: ReadonlySet<string>): Block[] {
  const { format, layout, uri } = file.descriptor;
  if (format === 'root-ttree') return basketsOf(layout as RootLayout, names);
  if (format === 'root-rntuple') return pagesOf(layout as RntupleLayout, names);
  if (format === 'parquet') return chunksOf(file, names);
  throw new ColweaveError('source/not-root', `the floor of ${format} is not measured`, { where: [uri] });
}

function basketsOf({ branches, baskets }: RootLayout, names: ReadonlySet<string>): Block[] {
  const wanted = branches.filter(({ name }) => names.has(name));
  const counters = new Set(wanted.flatMap(({ counter }) => (counter === undefined ? [] : [counter])));
  const blocks: Block[] = [];
  for (const { name, basketStart, basketEnd } of branches) {
    if (!names.has(name) && !counters.has(name)) continue;
    for (let basket = basketStart; basket < basketEnd; basket++) {
      const offset = baskets.seek[basket]!;
      if (offset >= 0) blocks.push({ offset, length: baskets.bytes[basket]!, unpack: unpackBasket });
    }
  }
  return blocks.sort((left, right) => left.offset - right.offset);
}

/** A basket's key tells the size of what it holds (big-endian u32 at 6) and its own (u16 at 14). */
function unpackBasket(stored: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  return [unpackObject(stored.subarray(view.getUint16(14)), view.getUint32(6))];
}

function pagesOf(layout: RntupleLayout, names: ReadonlySet<string>): Block[] {
  const { columns, clusters, chunks, pages } = layout;
  const wanted = new Set(layout.nodes.flatMap(([name, node]) => (names.has(name) ? columnsOf(node) : [])));
  const blocks: Block[] = [];
  for (let chunk = 0; chunk < columns.length * clusters.rowEnd.length; chunk++) {
    const column = chunk % columns.length;
    if (!wanted.has(column)) continue;
    for (let page = chunks.pageStart[chunk]!; page < chunks.pageStart[chunk + 1]!; page++) {
      const first = page === chunks.pageStart[chunk]! ? 0 : pages.elementEnd[page - 1]!;
      const raw = pageBytes(pages.elementEnd[page]! - first, columns[column]!.bits);
      const unpack = (stored: Uint8Array) => [unpackObject(stored, raw)];
      blocks.push({ offset: pages.offset[page]!, length: pages.bytes[page]!, unpack });
    }
  }
  return blocks.sort((left, right) => left.offset - right.offset);
}

function chunksOf(file: SourceFile, names: ReadonlySet<string>): Block[] {
  return parquetRowGroups(file.descriptor).flatMap(({ chunks }) =>
    chunks
      .filter(({ path, bytes }) => names.has(path[0]!) && bytes > 0)
      .map(({ start, bytes, codec }) => ({
        offset: start,
        length: bytes,
        unpack: (stored) => rawPages(stored, codec).map(({ raw }) => raw),
      })),
  );
}

async function timeBlocks(
  file: SourceFile,
  blocks: readonly Block[],
  decompress: Clock,
  copy: Clock,
  signal: AbortSignal,
): Promise<void> {
  const store = await openStore(file.descriptor.uri);
  const target = new Uint8Array(BATCH_BYTES);
  try {
    for (let start = 0; start < blocks.length; ) {
      let end = start;
      for (let bytes = 0; end < blocks.length && bytes < BATCH_BYTES; end++) bytes += blocks[end]!.length;
      const batch = blocks.slice(start, end);
      const stored = await store.read(batch, signal);
      const raw = timed(decompress, () => batch.flatMap(({ unpack }, i) => unpack(stored[i]!)));
      timed(copy, () => copyAll(raw, target));
      count(decompress, stored, raw);
      count(copy, raw, raw);
      start = end;
    }
  } finally {
    await store.close();
  }
}

function copyAll(parts: readonly Uint8Array[], target: Uint8Array): void {
  let at = 0;
  for (const part of parts) {
    for (let from = 0; from < part.length; ) {
      const length = Math.min(part.length - from, target.length - at);
      target.set(part.subarray(from, from + length), at);
      from += length;
      at = at + length === target.length ? 0 : at + length;
    }
  }
}

function count(clock: Clock, taken: readonly Uint8Array[], given: readonly Uint8Array[]): void {
  clock.calls += given.length;
  for (const part of taken) clock.bytesIn += part.length;
  for (const part of given) clock.bytesOut += part.length;
}

/** Compresses every page of the joined file again; unpacking it first is not counted. */
async function timePages(joined: SourceFile, compress: Clock, signal: AbortSignal): Promise<number> {
  const store = await openStore(joined.descriptor.uri);
  let storedBytes = 0;
  try {
    for (const { chunks } of parquetRowGroups(joined.descriptor)) {
      for (const { start, bytes, codec } of chunks) {
        const [stored] = await store.read([{ offset: start, length: bytes }], signal);
        storedBytes += bytes;
        const pages = rawPages(stored!, codec);
        const packed = timed(compress, () => pages.map((page) => compressWith(codec, page)));
        count(
          compress,
          pages.map(({ raw }) => raw),
          packed,
        );
      }
    }
    return storedBytes;
  } finally {
    await store.close();
  }
}

/** A page's bytes before compression, and what they are like. */
interface RawPage {
  readonly raw: Uint8Array;
  readonly content: ZstdContent;
}

function rawPages(chunk: Uint8Array, codec: number): RawPage[] {
  const pages: RawPage[] = [];
  for (let at = 0; at < chunk.length; ) {
    const { headerBytes, bytes, rawBytes, encoding, v2 } = readPageHeader(chunk, at);
    const levelBytes = v2 === undefined ? 0 : v2.defBytes + v2.repBytes;
    const body = chunk.subarray(at + headerBytes + levelBytes, at + headerBytes + bytes);
    const raw = decompressPage(v2?.compressed === false ? Codec.UNCOMPRESSED : codec, body, rawBytes - levelBytes);
    pages.push({ raw, content: contentOf(encoding as Encoding) });
    at += headerBytes + bytes;
  }
  return pages;
}

function compressWith(codec: number, { raw, content }: RawPage): Uint8Array {
  switch (codec) {
    case Codec.ZSTD:
      return compressZstd(raw, ZSTD_LEVEL, content);
    case Codec.SNAPPY:
      return compressSnappy(raw);
    case Codec.GZIP:
      return compressGzip(raw, 6);
    default:
      return raw;
  }
}
