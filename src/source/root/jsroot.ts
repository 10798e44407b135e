// Owns our use of jsroot: it turns the bytes of a tree object into branches and leaves by the file's streamer infos.
// It gets those bytes decompressed by us, since its LZMA decoder is wrong and its zstd package is not installed.
import type { TBuffer, TFile } from 'jsroot/io';
import type { ByteStore } from '../../bytes/types.ts';
import { ColweaveError } from '../../core/errors.ts';
import { type RootHeader, type RootKey, readKeyAt, readObject } from './file-header.ts';

/** What jsroot finds in the file: nothing is certain about values, they are checked where they are used. */
export interface TreeObject {
  readonly fEntries?: unknown;
  readonly fBranches?: { readonly arr?: readonly BranchObject[] };
}
export interface BranchObject {
  readonly _typename: string;
  readonly fName: string;
  readonly fTitle: string;
  readonly fClassName?: string;
  readonly fFileName?: string;
  readonly fEntries: unknown;
  readonly fWriteBasket: unknown;
  readonly fTotBytes: unknown;
  readonly fBranches?: { readonly arr?: readonly BranchObject[] };
  readonly fLeaves?: { readonly arr?: readonly LeafObject[] };
  readonly fBaskets?: { readonly arr?: readonly (BasketObject | null)[] };
  readonly fBasketBytes: ArrayLike<unknown>;
  readonly fBasketEntry: ArrayLike<unknown>;
  readonly fBasketSeek: ArrayLike<unknown>;
}
export interface LeafObject {
  readonly _typename: string;
  readonly fName: string;
  readonly fTitle: string;
  readonly fLen: unknown;
  readonly fIsUnsigned: unknown;
  readonly fLeafCount: LeafObject | null;
}
/** A basket inside the tree; `payload` absent when it holds nothing. */
export interface BasketObject {
  rows: number;
  payload?: Uint8Array;
}

const BASKET_CLASS = 'TBasket';
/** Offset map can be made from the counter, so it is not stored. */
const FLAG_NO_OFFSETS = 80;
const FLAG_DISPLACEMENT = 40;

type Jsroot = typeof import('jsroot/io');

/** Decodes the tree behind a key. Errors: source/damaged, source/truncated. */
export async function readTreeObject(store: ByteStore, header: RootHeader, key: RootKey): Promise<TreeObject> {
  const object = await readObject(store, key);
  const jsroot = await import('jsroot/io');
  try {
    const file = await openMetadata(jsroot, store, header);
    return quietly(() => {
      const buffer = bufferOf(jsroot, object, file);
      buffer.fTagOffset = key.keyBytes;
      const tree = {};
      buffer.mapObject(1, tree);
      return buffer.classStreamer(tree, key.className) as TreeObject;
    });
  } catch (cause) {
    if (cause instanceof ColweaveError) throw cause;
    throw new ColweaveError('source/damaged', 'the description of the tree cannot be decoded', { cause });
  }
}

/** jsroot opens the file, but sees the streamer infos as if they were stored uncompressed. */
async function openMetadata(jsroot: Jsroot, store: ByteStore, header: RootHeader): Promise<TFile> {
  const key = await readKeyAt(store, header.infoSeek, header.infoBytes);
  const infos = await readObject(store, key);
  const [original] = await store.read([{ offset: key.seek, length: key.keyBytes }]);
  const infoRecord = Buffer.concat([original!, infos]);
  infoRecord.writeUInt32BE(infoRecord.length, 0);
  infoRecord.writeUInt32BE(infos.length, 6);

  const readRange = async (offset: number, length: number): Promise<DataView> => {
    const inInfo = offset - header.infoSeek;
    if (inInfo === 0 || inInfo === key.keyBytes) return viewOf(infoRecord.subarray(inInfo));
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
  if (!file) throw new ColweaveError('source/damaged', 'the description of the file cannot be decoded');
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
function bufferOf(jsroot: Jsroot, bytes: Uint8Array, file: TFile): TBuffer {
  class CheckedBuffer extends jsroot.TBuffer {
    override classStreamer(target: object, className: string): object {
      if (className !== BASKET_CLASS) return super.classStreamer(target, className);
      return readBasket(this, bytes, target as BasketObject);
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
  return new CheckedBuffer(viewOf(bytes), 0, file);
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
  if (hasOffsets && flag !== 0 && flag % 10 !== 2) {
    if (basket.rows > 0) skipInts(buffer);
    if (flag > FLAG_DISPLACEMENT) skipInts(buffer);
  }
  if (flag === 1 || flag > 10) {
    if (last < keyBytes || buffer.o + last > bytes.length)
      throw damaged('a basket inside the tree has impossible sizes');
    basket.payload = bytes.slice(buffer.o + keyBytes, buffer.o + last);
    buffer.o += last;
  }
  return basket;
}

function skipInts(buffer: TBuffer): void {
  const count = buffer.ntoi4();
  if (count < 0 || buffer.o + 4 * count > buffer.length) throw damaged('a basket inside the tree has impossible sizes');
  buffer.o += 4 * count;
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
