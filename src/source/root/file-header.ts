// Owns the outer structure of a ROOT file: header, directories, keys (https://root.cern/doc/master/classTFile.html).
import type { ByteStore } from '../../bytes/types.ts';
import { ColweaveError } from '../../core/errors.ts';
import { unpackObject } from './blocks.ts';

/** The header, and in nearly all files the root directory's record too. */
const HEAD_BYTES = 512;
/** From this version on, positions in the header have 8 bytes. */
const BIG_FILE_VERSION = 1_000_000;
/** Keys and directories whose version is above this have 8-byte positions. */
const BIG_KEY_VERSION = 1000;
/** Longer names exist nowhere; a damaged length must not become a read of gigabytes. */
const NAME_BYTES_MAX = 100_000;
/** Key name and title, dates, positions: the fixed parts of a directory's record. */
const RECORD_BYTES = 64;
const UUID_BYTES = 16;
/** Descriptions of trees compress 5 to 20 fold, lists of zeros in them included; a bomb of zlib gives 1000 for 1. */
const OBJECT_EXPANSION_MAX = 256;
const OBJECT_SLACK_BYTES = 16 * 2 ** 20;

export interface RootHeader {
  readonly end: number;
  readonly begin: number;
  readonly infoSeek: number;
  readonly infoBytes: number;
  readonly root: RootDirectory;
  /** 32 hex digits; of the directory record's bytes in files too old to have one. */
  readonly uuid: string;
  readonly uuidOffset: number;
}

export interface RootDirectory {
  readonly keysSeek: number;
  readonly keysBytes: number;
}

export interface RootKey {
  readonly className: string;
  readonly name: string;
  readonly cycle: number;
  readonly seek: number;
  /** With the key itself. */
  readonly bytes: number;
  readonly keyBytes: number;
  readonly objectBytes: number;
}

/** A place in bytes; every read is checked. */
interface Cursor {
  readonly view: DataView;
  at: number;
}

const cursorOf = (bytes: Uint8Array): Cursor => ({
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  at: 0,
});

function take(cursor: Cursor, length: number): number {
  const at = cursor.at;
  if (length < 0 || at + length > cursor.view.byteLength) throw damaged('a record is shorter than it says');
  cursor.at = at + length;
  return at;
}

const u8 = (cursor: Cursor) => cursor.view.getUint8(take(cursor, 1));
const u16 = (cursor: Cursor) => cursor.view.getUint16(take(cursor, 2));
const u32 = (cursor: Cursor) => cursor.view.getUint32(take(cursor, 4));
const i32 = (cursor: Cursor) => cursor.view.getInt32(take(cursor, 4));
const u64 = (cursor: Cursor) => Number(cursor.view.getBigUint64(take(cursor, 8)));

function text(cursor: Cursor): string {
  const short = u8(cursor);
  const length = short === 255 ? u32(cursor) : short;
  const at = take(cursor, length);
  const { buffer, byteOffset } = cursor.view;
  return Buffer.from(buffer, byteOffset + at, length).toString('utf8');
}

/** Errors: source/not-root, source/truncated, source/damaged. */
export async function readHeader(store: ByteStore): Promise<RootHeader> {
  const head = await readAt(store, 0, Math.min(HEAD_BYTES, store.size));
  const cursor = cursorOf(head);
  if (head.length < 4 || u32(cursor) !== 0x726f6f74) throw new ColweaveError('source/not-root', 'not a ROOT file');
  if (head.length < 64) throw truncated(store, 64);
  const version = i32(cursor); // uproot's update mode leaves 1,000,000 too little in small files
  const begin = u32(cursor);
  const big = version >= BIG_FILE_VERSION;
  const position = big ? u64 : u32;
  const end = position(cursor);
  take(cursor, (big ? 8 : 4) + 4 + 4); // free segments: place, bytes, count
  const nameBytes = u32(cursor);
  take(cursor, 1 + 4); // bytes of a position, compression
  const infoSeek = position(cursor);
  const infoBytes = u32(cursor);
  if (end > store.size) throw truncated(store, end);
  if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX) throw damaged('the root directory cannot be found');
  const record = begin + nameBytes;
  const recordBytes = Math.min(RECORD_BYTES, end - record);
  const bytes = await readAt(store, record, recordBytes);
  const root = parseDirectory(bytes);
  if (infoSeek === 0 || infoBytes === 0 || root.keysSeek === 0) {
    throw damaged('the file was not closed: it has no list of its contents', 'the job that wrote it did not finish');
  }
  const uuidOffset = root.uuidAt < 0 ? -1 : record + root.uuidAt;
  const uuidBytes = root.uuidAt < 0 ? bytes.subarray(0, UUID_BYTES) : bytes.subarray(root.uuidAt);
  const uuid = Buffer.from(uuidBytes.subarray(0, UUID_BYTES)).toString('hex');
  return { begin, end, infoSeek, infoBytes, root, uuid, uuidOffset };
}

/** The 16 bytes at the place where the UUID was, as hex: for reopening. */
export async function readUuid(store: ByteStore, uuidOffset: number): Promise<string> {
  return Buffer.from(await readAt(store, uuidOffset, UUID_BYTES)).toString('hex');
}

function parseDirectory(bytes: Uint8Array): RootDirectory & { readonly uuidAt: number } {
  const cursor = cursorOf(bytes);
  const version = u16(cursor);
  take(cursor, 8); // dates
  const keysBytes = u32(cursor);
  take(cursor, 4); // bytes of the name
  const position = version > BIG_KEY_VERSION ? u64 : u32;
  position(cursor); // of this directory
  position(cursor); // of its parent
  const keysSeek = position(cursor);
  if (version % BIG_KEY_VERSION < 2) return { keysSeek, keysBytes, uuidAt: -1 };
  u16(cursor); // version of the UUID
  return { keysSeek, keysBytes, uuidAt: take(cursor, UUID_BYTES) };
}

/** The keys of a directory: the highest cycle of each name, in file order. */
export async function readKeys(store: ByteStore, directory: RootDirectory): Promise<RootKey[]> {
  const { keysSeek, keysBytes } = directory;
  if (keysSeek === 0) return [];
  const cursor = cursorOf(await readAt(store, keysSeek, keysBytes));
  parseKey(cursor, true); // the list's own key
  const newest = new Map<string, RootKey>();
  for (let count = u32(cursor); count > 0; count--) {
    const key = parseKey(cursor, false);
    const other = newest.get(key.name);
    if (!other || key.cycle > other.cycle) newest.set(key.name, key);
  }
  return [...newest.values()];
}

/** `skip`: go on after the key's own bytes, whatever they hold. */
function parseKey(cursor: Cursor, skip: boolean): RootKey {
  const start = cursor.at;
  const bytes = u32(cursor);
  const version = u16(cursor);
  const objectBytes = u32(cursor);
  take(cursor, 4); // date
  const keyBytes = u16(cursor);
  const cycle = u16(cursor);
  const position = version > BIG_KEY_VERSION ? u64 : u32;
  const seek = position(cursor);
  position(cursor); // of the directory
  const className = text(cursor);
  const name = text(cursor);
  text(cursor); // title
  if (skip) {
    cursor.at = start;
    take(cursor, keyBytes);
  }
  return { className, name, cycle, seek, bytes, keyBytes, objectBytes };
}

export function isDirectory(key: RootKey): boolean {
  return key.className === 'TDirectory' || key.className === 'TDirectoryFile';
}

export async function readDirectory(store: ByteStore, key: RootKey): Promise<RootDirectory> {
  const bytes = await readAt(store, key.seek + key.keyBytes, Math.min(RECORD_BYTES, key.bytes - key.keyBytes));
  return parseDirectory(bytes);
}

/** The object behind a key, decompressed, without the key. */
export async function readObject(store: ByteStore, key: RootKey): Promise<Uint8Array> {
  if (key.bytes <= key.keyBytes) throw damaged(`the key of "${key.name}" has impossible sizes`);
  const storedBytes = key.bytes - key.keyBytes;
  if (key.objectBytes > storedBytes * OBJECT_EXPANSION_MAX + OBJECT_SLACK_BYTES) {
    throw damaged(`the ${storedBytes} bytes of "${key.name}" say that they hold ${key.objectBytes}`);
  }
  return unpackObject(await readAt(store, key.seek + key.keyBytes, storedBytes), key.objectBytes);
}

/** The key record at a place of the file (the streamer infos are not in the directory). */
export async function readKeyAt(store: ByteStore, seek: number, bytes: number): Promise<RootKey> {
  const key = parseKey(cursorOf(await readAt(store, seek, bytes)), true);
  return { ...key, seek, bytes };
}

async function readAt(store: ByteStore, offset: number, length: number): Promise<Uint8Array> {
  if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && length >= 0)) {
    throw damaged('a position is impossible');
  }
  const [bytes] = await store.read([{ offset, length }]);
  return bytes!;
}

function truncated(store: ByteStore, end: number): ColweaveError {
  return new ColweaveError('source/truncated', `the file has ${store.size} bytes, its header says ${end}`);
}

function damaged(what: string, hint?: string): ColweaveError {
  return new ColweaveError('source/damaged', what, hint === undefined ? {} : { hint });
}
