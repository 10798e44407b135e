// Owns xz streams (ROOT's LZMA): headers, index and checks; format: https://tukaani.org/xz/xz-file-format.txt.
// No native package: it keeps what it read and made until the event loop turns (0.6 GB here), and is slower than the kernel.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ColweaveError } from '../core/errors.ts';
import { crc64 } from './lzma-kernel.ts';
import { decodeLzma2 } from './lzma2.ts';

const HEADER_BYTES = 12;
const FOOTER_BYTES = 12;
const LZMA2 = 0x21;
/** Bytes of each known check: none, CRC-32 (ROOT), CRC-64 (Python's choice), SHA-256. */
const CHECK_BYTES: Readonly<Record<number, number>> = { 0: 0, 1: 4, 4: 8, 10: 32 };

interface Block {
  /** With header and check, without padding. */
  readonly storedBytes: number;
  readonly bytes: number;
}

/** The `size` bytes of one whole .xz stream. */
export function decompressXz(source: Uint8Array, size: number): Uint8Array {
  const blocks = readBlocks(source, size);
  const target = new Uint8Array(size);
  decodeBlocks(source, blocks, target);
  return target;
}

/** Fills `target` with one whole .xz stream; any other number of bytes is source/damaged. */
export function decompressXzInto(source: Uint8Array, target: Uint8Array): void {
  decodeBlocks(source, readBlocks(source, target.length), target);
}

/** The stream's own index, which must say `size`: read before anything is unpacked. */
function readBlocks(source: Uint8Array, size: number): readonly Block[] {
  const view = viewOf(source);
  const footer = source.length - FOOTER_BYTES;
  if (footer < HEADER_BYTES || view.getUint16(footer + 10) !== 0x595a) throw damaged('it does not end in a footer');
  if (view.getUint32(0) !== 0xfd377a58 || view.getUint16(4) !== 0x5a00) throw damaged('it has no header');
  if (view.getUint16(6) !== view.getUint16(footer + 8)) throw damaged('header and footer differ');
  checkCrc32(source, { start: 6, end: 8, at: 8 });
  checkCrc32(source, { start: footer + 4, end: footer + 10, at: footer });
  const start = footer - (view.getUint32(footer + 4, true) + 1) * 4;
  if (start < HEADER_BYTES || source[start] !== 0) throw damaged('it has no index');
  const end = footer - 4;
  checkCrc32(source, { start, end, at: end });
  const cursor = { source, at: start + 1, end };
  const blocks: Block[] = [];
  let [total, stored] = [0, HEADER_BYTES];
  for (let records = readVarint(cursor); records > 0; records--) {
    const block = { storedBytes: readVarint(cursor), bytes: readVarint(cursor) };
    blocks.push(block);
    total += block.bytes;
    stored += padded(block.storedBytes);
  }
  if (total !== size) throw damaged(`its index says ${total} bytes, expected ${size}`);
  if (stored !== start) throw damaged('its index is not where its blocks end');
  return blocks;
}

function decodeBlocks(source: Uint8Array, blocks: readonly Block[], target: Uint8Array): void {
  const check = source[7]!;
  const checkBytes = CHECK_BYTES[check];
  if (checkBytes === undefined || source[6] !== 0) throw damaged(`its check is of the unknown kind ${check}`);
  let from = HEADER_BYTES;
  let at = 0;
  for (const { storedBytes, bytes } of blocks) {
    const out = target.subarray(at, at + bytes);
    const dataEnd = decodeLzma2(source, skipBlockHeader(source, from), out);
    if (dataEnd + checkBytes !== from + storedBytes) throw damaged('a block is not as long as the index says');
    const stored = source.subarray(padded(dataEnd - from) + from, padded(dataEnd - from) + from + checkBytes);
    if (Buffer.compare(stored, checkOf(check, out)) !== 0) throw damaged('its data do not match their check');
    from += padded(storedBytes);
    at += bytes;
  }
}

/** Returns where the data begin. Only LZMA2 by itself is known: ROOT and Python make nothing else. */
function skipBlockHeader(source: Uint8Array, from: number): number {
  const end = from + (source[from]! + 1) * 4;
  if (source[from] === 0 || end > source.length) throw damaged('a block has no header');
  checkCrc32(source, { start: from, end: end - 4, at: end - 4 });
  const flags = source[from + 1]!;
  const cursor = { source, at: from + 2, end: end - 4 };
  if (flags & 0x40) readVarint(cursor); // the sizes are in the index too
  if (flags & 0x80) readVarint(cursor);
  const filter = readVarint(cursor);
  if ((flags & 0x3f) !== 0 || filter !== LZMA2) throw damaged('it uses filters other than LZMA2');
  return end;
}

function checkOf(check: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CHECK_BYTES[check]!);
  const view = viewOf(bytes);
  if (check === 1) view.setUint32(0, crc32(data), true);
  if (check === 4) view.setBigUint64(0, crc64(data), true);
  return check === 10 ? createHash('sha256').update(data).digest() : bytes;
}

/** Bytes start .. end have the CRC-32 that is stored at `at`. */
function checkCrc32(
  source: Uint8Array,
  { start, end, at }: { readonly start: number; readonly end: number; readonly at: number },
): void {
  if (crc32(source.subarray(start, end)) !== viewOf(source).getUint32(at, true)) {
    throw damaged('a header or its index does not match its checksum');
  }
}

function readVarint(cursor: { readonly source: Uint8Array; at: number; readonly end: number }): number {
  let value = 0;
  for (let scale = 1; cursor.at < cursor.end && scale < 2 ** 49; scale *= 128) {
    const byte = cursor.source[cursor.at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
  throw damaged('its index is cut');
}

const padded = (bytes: number) => Math.ceil(bytes / 4) * 4;
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `an xz stream is damaged: ${what}`);
}
