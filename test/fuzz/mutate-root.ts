// Owns damage that aims at ROOT: header, keys, baskets, compression blocks, and the objects inside, written anew unpacked.
// Layout of records: https://root.cern/doc/master/classTFile.html
import { deflateSync, zstdCompressSync } from 'node:zlib';
import { unpackObject } from '../../src/source/root/blocks.ts';
import { boundary, GENERIC_MUTATIONS, lie, type Mutation, overwrite } from './mutate.ts';
import type { Random } from './random.ts';

const BLOCK_BYTES_MAX = 0xffffff;
/** Bytes of the header's fields that matter: version to UUID, with 8-byte positions at most. */
const HEADER_BYTES = 64;

/** A record of the file: a key and what follows it. */
export interface FileRecord {
  readonly at: number;
  readonly bytes: number;
  readonly keyBytes: number;
  readonly objectBytes: number;
  readonly className: string;
}

/** Keys of baskets have positions of 8 bytes, the others of these small files 4. */
const isBigKey = (bytes: Buffer, at: number) => bytes.readUInt16BE(at + 4) > 1000;

export function recordsOf(bytes: Buffer): FileRecord[] {
  const begin = bytes.readUInt32BE(8);
  const end = bytes.readUInt32BE(12);
  const records: FileRecord[] = [];
  for (let at = begin; at + 40 < Math.min(end, bytes.length); ) {
    const size = bytes.readInt32BE(at);
    if (size < 0) {
      at -= size; // a gap
      continue;
    }
    if (size < 40) break;
    const nameAt = at + (isBigKey(bytes, at) ? 34 : 26);
    records.push({
      at,
      bytes: size,
      keyBytes: bytes.readUInt16BE(at + 14),
      objectBytes: bytes.readUInt32BE(at + 6),
      className: bytes.toString('latin1', nameAt + 1, nameAt + 1 + bytes.readUInt8(nameAt)),
    });
    at += size;
  }
  return records;
}

const headers: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const record = out.readUInt32BE(8);
  const at = random.once(2) ? 4 + random.below(HEADER_BYTES) : record + random.below(160);
  return { bytes: out, touched: [lie(out, at, random.pick([1, 2, 4, 4]), true, random)] };
};

/** Places of a key's numbers, with their widths. */
const KEY_FIELDS: readonly (readonly [at: number, width: number])[] = [
  [0, 4],
  [4, 2],
  [6, 4],
  [14, 2],
  [16, 2],
  [18, 4],
  [22, 4],
  [26, 1],
  [26, 8],
  [34, 1],
];

const keys: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const records = recordsOf(out);
  if (records.length === 0) return undefined;
  const record = random.pick(random.once(2) ? records.filter(({ className }) => className !== 'TBasket') : records);
  if (record === undefined) return undefined;
  const [at, width] = random.pick(KEY_FIELDS);
  return { bytes: out, touched: [lie(out, record.at + at, width, true, random)] };
};

/** The numbers at the end of a basket's key, and the head of its first block. */
const baskets: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const records = recordsOf(out).filter(({ className }) => className === 'TBasket');
  if (records.length === 0) return undefined;
  const { at, keyBytes } = random.pick(records);
  const place = at + keyBytes + random.pick([-19, -17, -13, -9, -9, -5, -5, -1, 0, 2, 3, 6]);
  return { bytes: out, touched: [lie(out, place, random.pick([1, 2, 3, 4]), true, random)] };
};

/** One record's position where another's should be: directories and baskets that lead in circles or to each other. */
const positions: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const records = recordsOf(out);
  const lists = records.filter(({ className }) => className !== 'TBasket');
  const places: number[] = [];
  for (const { at, bytes: size } of lists) {
    for (let i = at; i + 4 <= Math.min(at + size, out.length); i++) {
      const value = out.readUInt32BE(i);
      if (value > 0 && records.some((record) => record.at === value)) places.push(i);
    }
  }
  if (places.length === 0) return undefined;
  const at = random.pick(places);
  return {
    bytes: out,
    touched: [overwrite(out, at, BigInt(random.pick(random.once(2) ? lists : records).at), 4, true)],
  };
};

/**
 * An object put at the end of the file as it is when unpacked, its key with it, and whatever leads to it changed: so that
 * damage reaches what reads it instead of ending at a checksum.
 */
export function withObject(bytes: Buffer, record: FileRecord, object: Buffer, objectBytes = object.length): Buffer {
  const out = Buffer.concat([bytes, bytes.subarray(record.at, record.at + record.keyBytes), object]);
  const { length: seek } = bytes;
  const size = record.keyBytes + object.length;
  out.writeUInt32BE(size, seek);
  out.writeUInt32BE(objectBytes, seek + 6);
  out.writeUInt32BE(seek, seek + 18);
  out.writeUInt32BE(out.length, 12);
  const isInfo = bytes.readUInt32BE(37) === record.at;
  if (isInfo) {
    out.writeUInt32BE(seek, 37);
    out.writeUInt32BE(size, 41);
    return out;
  }
  for (let i = 0; i + 26 < bytes.length; i++) {
    if (i === record.at || bytes.readUInt32BE(i + 18) !== record.at || bytes.readUInt32BE(i) !== record.bytes) continue;
    out.writeUInt32BE(size, i);
    out.writeUInt32BE(objectBytes, i + 6);
    out.writeUInt32BE(seek, i + 18);
  }
  return out;
}

/** The trees and the streamer infos. */
function describing(bytes: Buffer): FileRecord[] {
  const info = bytes.readUInt32BE(37);
  return recordsOf(bytes).filter(({ at, className }) => at === info || /^T(Tree|Ntuple)|RNTuple$/.test(className));
}

export function objectOf(bytes: Buffer, { at, bytes: size, keyBytes, objectBytes }: FileRecord): Buffer {
  return Buffer.from(unpackObject(bytes.subarray(at + keyBytes, at + size), objectBytes));
}

const objects: Mutation = ({ bytes, random, turn }) => {
  const records = describing(bytes);
  if (records.length === 0) return undefined;
  const record = random.pick(records);
  const object = objectOf(bytes, record);
  if (random.once(2)) {
    for (let n = 1 + random.below(3); n > 0; n--) {
      lie(object, random.below(object.length), random.pick([1, 2, 4, 4, 8]), true, random);
    }
    return { bytes: withObject(bytes, record, object) };
  }
  const kind = random.pick(['flip', 'overwrite', 'cut', 'stretch', 'shift'] as const);
  const damaged = GENERIC_MUTATIONS[kind]!({ bytes: object, random, turn: 50 + turn, other: () => object });
  return { bytes: withObject(bytes, record, damaged!.bytes) };
};

/** Numbers in a tree that are the sizes, counts and positions of its baskets. */
const counts: Mutation = ({ bytes, random }) => {
  const records = describing(bytes);
  if (records.length === 0) return undefined;
  const record = random.pick(records);
  const object = objectOf(bytes, record);
  const known = new Set(recordsOf(bytes).flatMap(({ at, bytes: size }) => [at, size]));
  const places: number[] = [];
  for (let i = 0; i + 4 <= object.length; i++) {
    const value = object.readUInt32BE(i);
    const isCount = (value & 0xff000000) === 0x40000000; // a byte count of ROOT's streamers
    if (known.has(value) || isCount) places.push(i);
  }
  if (places.length === 0) return undefined;
  for (let n = 1 + random.below(2); n > 0; n--) {
    const at = random.pick(places);
    if (random.once(2)) lie(object, at, 4, true, random);
    else overwrite(object, at, BigInt(random.pick([...known])), 4, true);
  }
  return { bytes: withObject(bytes, record, object) };
};

/** What a basket holds, changed with no compression and no checksum in the way: values, counters, entry offsets. */
const payloads: Mutation = ({ bytes, random }) => {
  const records = recordsOf(bytes);
  const trees = records.filter(({ className }) => /^T(Tree|Ntuple)/.test(className));
  const sizes = records.map((record) => record.bytes);
  // the tree knows a basket by its position and size: only a size that no other has can be changed by looking for it
  const alone = records.filter(
    ({ className, bytes: size }) => className === 'TBasket' && sizes.indexOf(size) === sizes.lastIndexOf(size),
  );
  if (alone.length === 0 || trees.length === 0) return undefined;
  const basket = random.pick(alone);
  const object = objectOf(bytes, basket);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const width = random.pick([1, 4, 4, 8]);
    lie(object, Math.floor(random.below(object.length) / width) * width, width, true, random);
  }
  const key = Buffer.from(bytes.subarray(basket.at, basket.at + basket.keyBytes));
  key.writeUInt32BE(key.length + object.length, 0);
  const grown = Buffer.concat([bytes, key, object]);
  const tree = random.pick(trees);
  const description = objectOf(bytes, tree);
  replaceAll(description, basket.at, bytes.length);
  replaceAll(description, basket.bytes, key.length + object.length);
  return { bytes: withObject(grown, tree, description) };
};

function replaceAll(bytes: Buffer, from: number, to: number): void {
  for (let i = 0; i + 4 <= bytes.length; i++) if (bytes.readUInt32BE(i) === from) bytes.writeUInt32BE(to, i);
}

let bombBlock: Buffer | undefined;

/** A block that unpacks to 16 MiB of zeros. */
function bomb(random: Random): Buffer {
  if (bombBlock === undefined || random.once(8)) {
    const raw = Buffer.alloc(BLOCK_BYTES_MAX);
    const useZstd = random.once(2);
    const data = useZstd ? zstdCompressSync(raw) : deflateSync(raw);
    const head = Buffer.alloc(9);
    head.write(useZstd ? 'ZS\x01' : 'ZL\x08', 0, 'latin1');
    head.writeUIntLE(data.length, 3, 3);
    head.writeUIntLE(BLOCK_BYTES_MAX, 6, 3);
    bombBlock = Buffer.concat([head, data]);
  }
  return bombBlock;
}

/** Objects and baskets of hundreds of megabytes, said or real. */
const bombs: Mutation = ({ bytes, random }) => {
  const records = recordsOf(bytes);
  const described = describing(bytes);
  const baskets = records.filter(({ className }) => className === 'TBasket');
  if (random.once(2) && described.length > 0) {
    const blocks = random.pick([4, 16, 60]);
    const object = Buffer.concat(Array.from({ length: blocks }, () => bomb(random)));
    return { bytes: withObject(bytes, random.pick(described), object, blocks * BLOCK_BYTES_MAX) };
  }
  if (baskets.length === 0) return undefined;
  const out = Buffer.from(bytes);
  const { at, bytes: size, keyBytes } = random.pick(baskets);
  const room = size - keyBytes;
  const block = bomb(random);
  const fits = block.length <= room;
  if (fits) block.copy(out, at + keyBytes);
  out.writeUInt32BE(fits ? BLOCK_BYTES_MAX : Number(boundary(random) & 0x7fff_ffffn), at + 6);
  if (random.once(2)) out.writeInt32BE(keyBytes + BLOCK_BYTES_MAX, at + keyBytes - 5);
  return { bytes: out };
};

export const ROOT_MUTATIONS: Readonly<{ [kind: string]: Mutation }> = {
  header: headers,
  key: keys,
  basket: baskets,
  position: positions,
  object: objects,
  count: counts,
  payload: payloads,
  bomb: bombs,
};
