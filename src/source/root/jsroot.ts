// Owns our use of jsroot: it turns the bytes of a tree object into branches and leaves by the file's streamer infos.
// It gets those bytes decompressed by us, since its LZMA decoder is wrong and its zstd package is not installed.
import type { TBuffer, TFile } from 'jsroot/io';
import type { ByteStore } from '../../bytes/types.ts';
import { ColweaveError } from '../../core/errors.ts';
import { type RootHeader, type RootKey, readKeyAt, readObject } from './file-header.ts';
import { type Classes, collectClasses } from './object/classes.ts';
import { type BasketObject, checkTree, type TreeObject } from './tree-object.ts';

/** Offset map can be made from the counter, so it is not stored. */
const FLAG_NO_OFFSETS = 80;
const FLAG_DISPLACEMENT = 40;

type Jsroot = typeof import('jsroot/io');

export interface ReadTree {
  readonly tree: TreeObject;
  readonly classes: Classes;
}

/** Decodes the tree behind a key, and the classes that the file describes. Errors: source/damaged, source/truncated. */
export async function readTreeObject(store: ByteStore, header: RootHeader, key: RootKey): Promise<ReadTree> {
  const object = await readObject(store, key);
  const infoKey = await readKeyAt(store, header.infoSeek, header.infoBytes);
  const infos = await readObject(store, infoKey);
  const jsroot = await import('jsroot/io');
  try {
    const file = await openMetadata(jsroot, store, infoKey);
    return quietly(() => {
      file.extractStreamerInfos(bufferOf(jsroot, file, { bytes: infos, keyBytes: infoKey.keyBytes }));
      if (!file.fStreamerInfos?.arr?.length) throw damaged('the streamer infos cannot be decoded');
      const buffer = bufferOf(jsroot, file, { bytes: object, keyBytes: key.keyBytes });
      const tree = {};
      buffer.mapObject(1, tree);
      const classes = collectClasses(file.fStreamerInfos.arr);
      return { tree: checkTree(buffer.classStreamer(tree, key.className)), classes };
    });
  } catch (cause) {
    if (cause instanceof ColweaveError) throw cause;
    throw new ColweaveError('source/damaged', 'the description of the tree cannot be decoded', { cause });
  }
}

/** A TList without members, as its streamer writes it: byte count, version, TObject, name, count. */
const EMPTY_LIST = Buffer.from('40000011' + '0005' + '0001' + '00000000' + '00000000' + '00' + '00000000', 'hex');

/** jsroot opens the file; it sees no streamer infos, because they are to go through a buffer of ours. */
async function openMetadata(jsroot: Jsroot, store: ByteStore, infoKey: RootKey): Promise<TFile> {
  const [original] = await store.read([{ offset: infoKey.seek, length: infoKey.keyBytes }]);
  const infoRecord = Buffer.concat([original!, EMPTY_LIST]);
  infoRecord.writeUInt32BE(infoRecord.length, 0);
  infoRecord.writeUInt32BE(EMPTY_LIST.length, 6);

  const readRange = async (offset: number, length: number): Promise<DataView> => {
    const inInfo = offset - infoKey.seek;
    if (inInfo === 0 || inInfo === infoKey.keyBytes) return viewOf(infoRecord.subarray(inInfo));
    const [bytes] = await store.read([{ offset, length: Math.min(length, store.size - offset) }]);
    return viewOf(offset === 0 ? withSaneVersion(bytes!) : bytes!);
  };
  class MetadataProxy extends jsroot.FileProxy {
    async openFile(): Promise<boolean> {
      return true;
    }
    getFileName(): string {
      return 'metadata';
    }
    getFileSize(): number {
      return store.size;
    }
    async readBuffers(place: readonly number[]): Promise<DataView[]> {
      const views: DataView[] = [];
      for (let i = 0; i < place.length; i += 2) views.push(await readRange(place[i]!, place[i + 1]!));
      return views;
    }
  }
  const file = await jsroot.openFile(new MetadataProxy());
  if (!file) throw damaged('the description of the file cannot be decoded');
  return file;
}

/** jsroot takes the negative version that uproot's update mode leaves for that of a file above 2 GB. */
function withSaneVersion(head: Uint8Array): Uint8Array {
  const copy = Buffer.from(head);
  if (copy.readInt32BE(4) < 0) copy.writeInt32BE(copy.readInt32BE(4) + 1_000_000, 4);
  return copy;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** jsroot's buffer with baskets kept as bytes, and with checks where damaged bytes would make it go on for long. */
function bufferOf(
  jsroot: Jsroot,
  file: TFile,
  { bytes, keyBytes }: { readonly bytes: Uint8Array; readonly keyBytes: number },
): TBuffer {
  class CheckedBuffer extends jsroot.TBuffer {
    override classStreamer(target: object, className: string): object {
      if (className === 'TBasket') return readBasket(this, bytes, target as BasketObject);
      if (className === 'TObjArray') return readObjArray(this, target as { arr?: unknown[] });
      return super.classStreamer(target, className);
    }
    override checkByteCount(version: { readonly off: number; readonly bytecnt?: number }): boolean {
      if (version.bytecnt === undefined) return true;
      const end = version.off + version.bytecnt;
      if (this.o > end || end > this.length) throw damaged('an object is longer than its record');
      this.o = end;
      return true;
    }
    override readFastArray(count: number, type: number): ArrayLike<unknown> {
      if (!(count >= 0 && count <= this.length - this.o)) throw damaged('an array is longer than its record');
      return super.readFastArray(count, type);
    }
  }
  const buffer = new CheckedBuffer(viewOf(bytes), 0, file);
  buffer.fTagOffset = keyBytes; // references inside the object count from its key
  return buffer;
}

/** TBasket::Streamer. jsroot's own takes baskets without an offset map (flag 80 and above) for ones with it. */
function readBasket(buffer: TBuffer, bytes: Uint8Array, basket: BasketObject): BasketObject {
  const start = buffer.o;
  const keyBytes = buffer.arr.getUint16(start + 14);
  buffer.classStreamer({}, 'TKey');
  buffer.readVersion();
  buffer.ntoi4(); // bytes of its buffer
  if (buffer.ntoi4() < 0) buffer.ntoi1(); // IO features follow
  basket.rows = buffer.ntoi4();
  const last = buffer.ntoi4();
  let flag = buffer.ntoi1() & 255;
  const hasOffsets = flag < FLAG_NO_OFFSETS;
  if (!hasOffsets) flag -= FLAG_NO_OFFSETS;
  let entryOffsets: Uint8Array | undefined;
  if (hasOffsets && flag !== 0 && flag % 10 !== 2) {
    if (basket.rows > 0) entryOffsets = takeInts(buffer, bytes);
    if (flag > FLAG_DISPLACEMENT) takeInts(buffer, bytes);
  }
  if (flag === 1 || flag > 10) {
    if (last < keyBytes || buffer.o + last > bytes.length)
      throw damaged('a basket inside the tree has impossible sizes');
    const payload = bytes.slice(buffer.o + keyBytes, buffer.o + last);
    const whole = entryOffsets?.length === 4 * basket.rows;
    basket.data = { payload, keyBytes, ...(entryOffsets && whole ? { entryOffsets } : {}) };
    buffer.o += last;
  }
  return basket;
}

/** TObjArray::Streamer. jsroot's own makes room for as many members as a damaged file says. */
function readObjArray(buffer: TBuffer, list: { arr?: unknown[] }): object {
  const version = buffer.readVersion();
  if (version.val > 2) buffer.classStreamer({}, 'TObject');
  if (version.val > 1) buffer.readTString();
  const count = buffer.ntoi4();
  buffer.ntoi4(); // lower bound
  if (count < 0 || buffer.o + 4 * count > buffer.length) throw damaged('a list is longer than its record');
  list.arr = [];
  for (let i = 0; i < count; i++) list.arr.push(buffer.readObjectAny());
  buffer.checkByteCount(version);
  return list;
}

function takeInts(buffer: TBuffer, bytes: Uint8Array): Uint8Array {
  const count = buffer.ntoi4();
  const start = buffer.o;
  if (count < 0 || start + 4 * count > buffer.length) throw damaged('a basket inside the tree has impossible sizes');
  buffer.o += 4 * count;
  return bytes.slice(start, buffer.o);
}

/** jsroot prints what it does not know; the terminal is not its to write to. Synchronous, so nobody else is muted. */
function quietly<T>(work: () => T): T {
  const { log, warn, error } = console;
  const silent = () => {};
  Object.assign(console, { log: silent, warn: silent, error: silent });
  try {
    return work();
  } finally {
    Object.assign(console, { log, warn, error });
  }
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', what);
}
