// Owns pages: their headers, CRC, decompression, and the split of a data page into levels and encoded values.
import { brotliDecompressSync, crc32 } from 'node:zlib';
import { decompressLz4Block } from '../../codec/lz4.ts';
import { pageRoom } from '../../codec/page-kernels.ts';
import { decompressSnappy } from '../../codec/snappy.ts';
import { decompressGzip } from '../../codec/zlib.ts';
import { decompressZstd, decompressZstdInto } from '../../codec/zstd.ts';
import { ColweaveError } from '../../core/errors.ts';
import { Codec, Encoding, PageType } from '../../core/parquet-format.ts';
import { byteCursor, decodeBitPackedLevels, decodeLevels, isOneRun } from './bits.ts';
import { type LevelCache, pageLevels } from './level-cache.ts';
import type { Leaf } from './schema.ts';
import {
  damaged,
  expectStruct,
  readBool,
  readCount,
  readInteger,
  readStruct,
  type ThriftCursor,
  thriftCursor,
} from './thrift.ts';

export interface PageHeader {
  readonly type: number;
  /** Length of the header itself, and of what follows it in the file. */
  readonly headerBytes: number;
  readonly bytes: number;
  readonly rawBytes: number;
  readonly crc?: number | undefined;
  readonly entries: number;
  readonly encoding: number;
  readonly defEncoding: number;
  readonly repEncoding: number;
  readonly v2?: PageV2 | undefined;
}

/** What only data pages of version 2 say. */
interface PageV2 {
  readonly nulls: number;
  readonly defBytes: number;
  readonly repBytes: number;
  readonly compressed: boolean;
}

/** A data page after decompression, its values still encoded. */
export interface DataPage {
  readonly entries: number;
  /** Values that are there: entries less nulls and empty lists. */
  readonly present: number;
  /** Rows that begin in the page. */
  readonly begun: number;
  /** Absent where the column is in no list. */
  readonly rep: Uint8Array | undefined;
  /** Absent where every entry is there. */
  readonly def: Uint8Array | undefined;
  readonly values: Uint8Array;
}

/** Runs let few bytes stand for many entries: no writer puts near as many in one page, and each costs two bytes here. */
const PAGE_ENTRIES_MAX = 2 ** 27;
/** How much more than its source a codec can give, so that a page that lies about its size allocates little. */
const EXPANSION_MAX: Readonly<Record<number, number>> = {
  [Codec.SNAPPY]: 32,
  [Codec.GZIP]: 1040,
  [Codec.BROTLI]: 1 << 20,
  [Codec.LZ4]: 256,
  [Codec.ZSTD]: 1 << 15,
  [Codec.LZ4_RAW]: 256,
};
const EXPANSION_SLACK_BYTES = 1 << 16;
/** Up to here a page may say what it likes: some writers are wrong about the sizes of small columns. */
const PAGE_BYTES_UNCHECKED = 16 * 2 ** 20;
/** Of one entry, as levels of a deep list or as a dictionary's index. */
const ENTRY_OVERHEAD_BYTES = 16;

export function readPageHeader(bytes: Uint8Array, at: number): PageHeader {
  const cursor = thriftCursor(bytes, at);
  const numbers = { type: -1, rawBytes: -1, bytes: -1 };
  let crc: number | undefined;
  let data: Pick<PageHeader, 'entries' | 'encoding' | 'defEncoding' | 'repEncoding' | 'v2'> | undefined;
  readStruct(cursor, (id, type) => {
    if (id === 1) numbers.type = readCount(cursor, type);
    else if (id === 2) numbers.rawBytes = readCount(cursor, type);
    else if (id === 3) numbers.bytes = readCount(cursor, type);
    else if (id === 4) crc = readInteger(cursor, type) >>> 0;
    else if (id === 5 || id === 7) data = readDataHeader(cursor, type);
    else if (id === 8) data = readDataHeaderV2(cursor, type);
    else return false;
    return true;
  });
  const headerBytes = cursor.at - at;
  if (numbers.type < 0 || numbers.rawBytes < 0 || numbers.bytes < 0) throw damaged('a page header is incomplete');
  if (numbers.bytes > bytes.length - cursor.at) throw damaged(`a page of ${numbers.bytes} bytes runs over its column`);
  const isData = numbers.type === PageType.DATA_PAGE || numbers.type === PageType.DATA_PAGE_V2;
  const hasV2 = data?.v2 !== undefined;
  if ((isData || numbers.type === PageType.DICTIONARY_PAGE) && data === undefined) {
    throw damaged('a page header is incomplete');
  }
  if (isData && hasV2 !== (numbers.type === PageType.DATA_PAGE_V2)) throw damaged('a page header is of two minds');
  const none = { entries: 0, encoding: 0, defEncoding: 0, repEncoding: 0 };
  return { ...numbers, headerBytes, crc, ...(data ?? none) };
}

/** DataPageHeader, and DictionaryPageHeader, which begins in the same way. */
function readDataHeader(cursor: ThriftCursor, structType: number) {
  expectStruct(structType);
  const header = { entries: 0, encoding: -1, defEncoding: 0, repEncoding: 0 };
  readStruct(cursor, (id, type) => {
    if (id === 1) header.entries = readCount(cursor, type);
    else if (id === 2) header.encoding = readCount(cursor, type);
    else if (id === 3 && type !== 1 && type !== 2) header.defEncoding = readCount(cursor, type);
    else if (id === 4) header.repEncoding = readCount(cursor, type);
    else return false;
    return true;
  });
  return header;
}

function readDataHeaderV2(cursor: ThriftCursor, structType: number) {
  expectStruct(structType);
  const header = { entries: 0, encoding: -1, defEncoding: Encoding.RLE, repEncoding: Encoding.RLE };
  const v2 = { nulls: 0, defBytes: 0, repBytes: 0, compressed: true };
  readStruct(cursor, (id, type) => {
    if (id === 1) header.entries = readCount(cursor, type);
    else if (id === 2) v2.nulls = readCount(cursor, type);
    else if (id === 4) header.encoding = readCount(cursor, type);
    else if (id === 5) v2.defBytes = readCount(cursor, type);
    else if (id === 6) v2.repBytes = readCount(cursor, type);
    else if (id === 7) v2.compressed = readBool(type);
    else return false;
    return true;
  });
  return { ...header, v2 };
}

/** The CRC covers the bytes as stored, without the header. */
export function checkCrc(header: PageHeader, body: Uint8Array): void {
  if (header.crc === undefined) return;
  const found = crc32(body);
  if (found !== header.crc) {
    throw damaged(`the page's CRC is ${found.toString(16)}, its header says ${header.crc.toString(16)}`);
  }
}

/**
 * A compressed page may hold a thousand times its own bytes and more: no page is larger than its whole column, nor than
 * its entries can be. Errors: source/damaged.
 */
export function checkPageBytes({ rawBytes, entries }: PageHeader, columnBytes: number, valueBytes: number): void {
  if (rawBytes <= PAGE_BYTES_UNCHECKED) return;
  if (rawBytes > columnBytes) throw damaged(`a page of ${rawBytes} bytes in a column of ${columnBytes}`);
  const most = entries * (valueBytes + ENTRY_OVERHEAD_BYTES) + EXPANSION_SLACK_BYTES;
  if (valueBytes > 0 && rawBytes > most) throw damaged(`a page of ${rawBytes} bytes for ${entries} values`);
}

export function decompressPage(codec: number, source: Uint8Array, rawBytes: number): Uint8Array {
  if (rawBytes === 0) return new Uint8Array(0);
  if (codec === Codec.UNCOMPRESSED) {
    if (source.length !== rawBytes) throw damaged(`a page of ${source.length} bytes says ${rawBytes}`);
    return source;
  }
  const expansion = EXPANSION_MAX[codec];
  if (expansion === undefined)
    throw new ColweaveError('source/unreadable-column', `codec ${codecName(codec)} is not read`);
  if (rawBytes > source.length * expansion + EXPANSION_SLACK_BYTES) {
    throw damaged(`${source.length} bytes of ${codecName(codec)} data cannot hold ${rawBytes} bytes`);
  }
  try {
    return decompressWith(codec, source, rawBytes);
  } catch (cause) {
    if (cause instanceof ColweaveError) throw cause;
    throw new ColweaveError('source/damaged', `${codecName(codec)} data do not decompress to ${rawBytes} bytes`, {
      cause,
    });
  }
}

function decompressWith(codec: number, source: Uint8Array, rawBytes: number): Uint8Array {
  switch (codec) {
    case Codec.SNAPPY:
      return decompressSnappy(source, rawBytes);
    case Codec.GZIP:
      return decompressGzip(source, rawBytes);
    case Codec.BROTLI: {
      const bytes = brotliDecompressSync(source, { maxOutputLength: rawBytes });
      if (bytes.length !== rawBytes) throw damaged(`brotli data hold ${bytes.length} bytes, expected ${rawBytes}`);
      return bytes;
    }
    case Codec.LZ4:
      return decompressHadoopLz4(source, rawBytes) ?? decompressLz4Block(source, rawBytes);
    case Codec.LZ4_RAW:
      return decompressLz4Block(source, rawBytes);
    default:
      return decompressFrame(source, rawBytes);
  }
}

/** Where the kernels read it without a copy, until the next page is decompressed: by then its values have been decoded. */
function decompressFrame(source: Uint8Array, rawBytes: number): Uint8Array {
  const room = pageRoom(rawBytes);
  if (room === undefined) return decompressZstd(source, rawBytes);
  decompressZstdInto(source, room);
  return room;
}

/** The codec LZ4 of old writers: blocks, each after its raw and stored length, big-endian; undefined = bytes of another form. */
function decompressHadoopLz4(source: Uint8Array, rawBytes: number): Uint8Array | undefined {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const out = new Uint8Array(rawBytes);
  let at = 0;
  let filled = 0;
  while (source.length - at >= 8) {
    const raw = view.getUint32(at);
    const bytes = view.getUint32(at + 4);
    at += 8;
    if (raw > rawBytes - filled || bytes > source.length - at) return undefined;
    try {
      out.set(decompressLz4Block(source.subarray(at, at + bytes), raw), filled);
    } catch {
      return undefined;
    }
    at += bytes;
    filled += raw;
  }
  return at === source.length && filled === rawBytes ? out : undefined;
}

function codecName(codec: number): string {
  return (
    Object.entries(Codec)
      .find(([, id]) => id === codec)?.[0]
      .toLowerCase() ?? `${codec}`
  );
}

/** Rows that begin in a page, and whether it goes on with the row before; undefined where only opening it tells. */
export function peekRows(
  leaf: Leaf,
  header: PageHeader,
  body: Uint8Array,
): { readonly begun: number; readonly continues: boolean } | undefined {
  if (leaf.repeatedDefs.length === 0) return { begun: header.entries, continues: false };
  if (header.v2 === undefined || header.entries === 0) return undefined;
  // the header's own count of rows is wrong in files of parquetjs; the levels are at hand without decompression
  checkEntries(header);
  const rep = version2Levels(leaf, header, header.v2, body).rep!;
  return { begun: countRows(rep), continues: rep[0] !== 0 };
}

export function countRows(rep: Uint8Array): number {
  return rep.length - countFrom(rep, 1);
}

/** How many levels (bytes) are `least` or more: without a branch or a comparison, several times as fast as with one. */
function countFrom(levels: Uint8Array, least: number): number {
  const bias = 256 - least;
  let count = 0;
  for (let i = 0; i < levels.length; i++) count += (levels[i]! + bias) >>> 8;
  return count;
}

function checkEntries(header: PageHeader): void {
  if (header.entries > PAGE_ENTRIES_MAX) throw damaged(`a page of ${header.entries} entries`);
}

export function openDataPage(
  leaf: Leaf,
  codec: number,
  header: PageHeader,
  body: Uint8Array,
  cache: LevelCache,
): DataPage {
  checkEntries(header);
  checkCrc(header, body);
  return header.v2 === undefined
    ? openVersion1(leaf, codec, header, body, cache)
    : openVersion2(leaf, codec, header, header.v2, body);
}

function openVersion1(leaf: Leaf, codec: number, header: PageHeader, body: Uint8Array, cache: LevelCache): DataPage {
  const raw = decompressPage(codec, body, header.rawBytes);
  const repetitions = leaf.repeatedDefs.length;
  const { entries } = header;
  const rle = header.repEncoding === Encoding.RLE && header.defEncoding === Encoding.RLE;
  if (repetitions > 0 && rle) {
    const repEnd = levelsEnd(raw, 0);
    const end = leaf.defMax === 0 ? repEnd : levelsEnd(raw, repEnd);
    const levels = pageLevels(cache, leaf, { bytes: raw.subarray(0, end), entries }, () => {
      const rep = takeLevels(raw, 0, header.repEncoding, repetitions, entries).levels!;
      const def =
        leaf.defMax === 0 ? undefined : takeLevels(raw, repEnd, header.defEncoding, leaf.defMax, entries).levels;
      return { rep, def, present: countPresent(def, leaf.defMax, entries), begun: countRows(rep) };
    });
    return { entries, ...levels, values: raw.subarray(end) };
  }
  const rep = repetitions === 0 ? undefined : takeLevels(raw, 0, header.repEncoding, repetitions, entries);
  const def =
    leaf.defMax === 0
      ? undefined
      : takeLevels(raw, rep?.end ?? 0, header.defEncoding, leaf.defMax, entries, repetitions === 0);
  return dataPage(leaf, entries, rep?.levels, def?.levels, raw.subarray(def?.end ?? rep?.end ?? 0));
}

/** Where a run of levels ends that begins at `at` with its length. */
function levelsEnd(raw: Uint8Array, at: number): number {
  if (raw.length - at < 4) throw damaged('levels run over the end of the page');
  const length = new DataView(raw.buffer, raw.byteOffset + at).getUint32(0, true);
  if (length > raw.length - at - 4) throw damaged('levels run over the end of the page');
  return at + 4 + length;
}

/** `levels` is undefined where `uniform` is allowed and every level is `max`. */
function takeLevels(raw: Uint8Array, at: number, encoding: number, max: number, entries: number, uniform = false) {
  if (encoding === Encoding.BIT_PACKED) {
    const cursor = byteCursor(raw, at);
    return { levels: decodeBitPackedLevels(cursor, max, entries), end: cursor.at };
  }
  if (encoding !== Encoding.RLE) throw damaged(`levels of encoding ${encoding}`);
  const end = levelsEnd(raw, at);
  const cursor = byteCursor(raw, at + 4, end);
  if (uniform && isOneRun(cursor, max, entries)) return { levels: undefined, end };
  return { levels: decodeLevels(cursor, max, entries), end };
}

/** Levels of version 2 are not compressed; where the definition levels lie. */
function version2Levels(leaf: Leaf, header: PageHeader, v2: PageV2, body: Uint8Array) {
  const levelBytes = v2.repBytes + v2.defBytes;
  if (levelBytes > body.length || levelBytes > header.rawBytes) throw damaged('levels run over the end of the page');
  const repetitions = leaf.repeatedDefs.length;
  const rep =
    repetitions === 0 ? undefined : decodeLevels(byteCursor(body, 0, v2.repBytes), repetitions, header.entries);
  return { rep, levelBytes };
}

function openVersion2(leaf: Leaf, codec: number, header: PageHeader, v2: PageV2, body: Uint8Array): DataPage {
  const { rep, levelBytes } = version2Levels(leaf, header, v2, body);
  const defs = byteCursor(body, v2.repBytes, levelBytes);
  const uniform = leaf.defMax === 0 || (rep === undefined && isOneRun(defs, leaf.defMax, header.entries));
  const def = uniform ? undefined : decodeLevels(defs, leaf.defMax, header.entries);
  // where the values are not compressed, nothing else would notice a header that splits the page at a wrong byte
  const split = uniform || v2.compressed || defs.at === levelBytes;
  if (!split) throw damaged(`levels end at byte ${defs.at} of the page, its header says ${levelBytes}`);
  const stored = body.subarray(levelBytes);
  const rawBytes = header.rawBytes - levelBytes;
  const values = v2.compressed ? decompressPage(codec, stored, rawBytes) : stored;
  const page = dataPage(leaf, header.entries, rep, def, values);
  if (v2.nulls !== header.entries - page.present) {
    throw damaged(`a page has ${header.entries - page.present} nulls, its header says ${v2.nulls}`);
  }
  return page;
}

function dataPage(
  leaf: Leaf,
  entries: number,
  rep: Uint8Array | undefined,
  def: Uint8Array | undefined,
  values: Uint8Array,
): DataPage {
  const begun = rep === undefined ? entries : countRows(rep);
  return { entries, present: countPresent(def, leaf.defMax, entries), begun, rep, def, values };
}

function countPresent(def: Uint8Array | undefined, max: number, entries: number): number {
  return def === undefined ? entries : countFrom(def, max);
}
