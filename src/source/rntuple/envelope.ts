// Owns what holds an RNTuple together: the anchor under a file's key, locators, and envelopes with their checksums.
import type { ByteStore } from '../../bytes/types.ts';
import { xxh3 } from '../../codec/xxh3.ts';
import { ColweaveError } from '../../core/errors.ts';
import { unpackObject } from '../root/blocks.ts';
import { bits64, type Cursor, cursorOf, damaged, i32, u64 } from './cursor.ts';

/** Byte count and class version in front of every object under a key. */
const OBJECT_HEAD_BYTES = 6;
/** Four u16 of the version, seven u64. */
const ANCHOR_BYTES = 64;
const CHECKSUM_BYTES = 8;
/** An envelope's type and length, and its checksum. */
const ENVELOPE_BYTES_MIN = 16;
const EPOCH = 1;
const LARGE_LOCATOR = 1;

export const HEADER_ENVELOPE = 1;
export const FOOTER_ENVELOPE = 2;
export const PAGE_LIST_ENVELOPE = 3;

/** A byte range of the file. */
export interface Locator {
  readonly offset: number;
  readonly bytes: number;
}

/** Where an envelope is, and its length out of compression. */
export interface EnvelopeLink extends Locator {
  readonly length: number;
}

export interface Anchor {
  readonly header: EnvelopeLink;
  readonly footer: EnvelopeLink;
  /** Larger ranges are spread over several keys. */
  readonly keyBytesMax: number;
}

/** The object under the key; big-endian, unlike all the rest. Errors: source/damaged, source/newer-format. */
export function parseAnchor(object: Uint8Array): Anchor {
  const fields = object.subarray(OBJECT_HEAD_BYTES);
  if (fields.length < ANCHOR_BYTES + CHECKSUM_BYTES) throw damaged('the anchor of the RNTuple is too short');
  const view = new DataView(fields.buffer, fields.byteOffset, fields.byteLength);
  const summed = fields.length - CHECKSUM_BYTES; // fields that a newer version appended come before the checksum
  if (view.getBigUint64(summed) !== xxh3(fields.subarray(0, summed))) {
    throw damaged('the anchor of the RNTuple does not match its checksum');
  }
  const version = [0, 2, 4, 6].map((at) => view.getUint16(at));
  if (version[0] !== EPOCH) {
    throw newer(`it has the RNTuple format ${version.join('.')}, only 1.x is read`);
  }
  const number = (index: number) => {
    const value = view.getBigUint64(8 + 8 * index);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged('the anchor of the RNTuple has impossible numbers');
    return Number(value);
  };
  return {
    header: { offset: number(0), bytes: number(1), length: number(2) },
    footer: { offset: number(3), bytes: number(4), length: number(5) },
    keyBytesMax: Number(view.getBigUint64(8 + 8 * 6)) || Number.POSITIVE_INFINITY,
  };
}

/** Errors: source/newer-format for kinds of places other than of ROOT files. */
export function locator(cursor: Cursor): Locator {
  const size = i32(cursor);
  if (size >= 0) return { bytes: size, offset: u64(cursor) };
  const type = (-size >>> 24) & 0x7f;
  if (type !== LARGE_LOCATOR) throw newer(`data are at a place of kind ${type}`);
  return { bytes: u64(cursor), offset: u64(cursor) };
}

export function envelopeLink(cursor: Cursor): EnvelopeLink {
  const length = u64(cursor);
  return { length, ...locator(cursor) };
}

export interface Envelope {
  /** Behind the envelope's own head, up to its checksum. */
  readonly inside: Cursor;
  readonly checksum: bigint;
}

/** Reads, decompresses and checks one. Errors: source/damaged, source/truncated. */
export async function readEnvelope(
  store: ByteStore,
  link: EnvelopeLink,
  { type, what, keyBytesMax }: { readonly type: number; readonly what: string; readonly keyBytesMax: number },
): Promise<Envelope> {
  const { offset, bytes, length } = link;
  if (bytes === 0 || bytes > length || length < ENVELOPE_BYTES_MIN) throw damaged(`${what} has impossible sizes`);
  if (bytes > keyBytesMax) throw newer(`${what} is spread over several keys`);
  if (offset + bytes > store.size) {
    throw new ColweaveError('source/truncated', `${what} ends at byte ${offset + bytes}, the file at ${store.size}`);
  }
  const [stored] = await store.read([{ offset, length: bytes }]);
  const object = unpackObject(stored!, length);
  const summed = length - CHECKSUM_BYTES;
  const tail = new DataView(object.buffer, object.byteOffset + summed, CHECKSUM_BYTES);
  const checksum = tail.getBigUint64(0, true);
  if (checksum !== xxh3(object.subarray(0, summed))) throw damaged(`${what} does not match its checksum`);
  const inside = cursorOf(object.subarray(0, summed));
  const head = bits64(inside);
  if (Number(head & 0xffffn) !== type || Number(head >> 16n) !== length) throw damaged(`${what} is something else`);
  return { inside, checksum };
}

/** A feature that this version does not know may change the meaning of anything. */
export function refuseFeatures(cursor: Cursor): void {
  if (bits64(cursor) === 0n) return;
  throw newer('the RNTuple has unknown feature flags');
}

export function newer(what: string): ColweaveError {
  return new ColweaveError('source/newer-format', what);
}
