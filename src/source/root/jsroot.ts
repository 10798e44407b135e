// Owns our use of jsroot: it turns the bytes of a tree object into branches and leaves by the file's streamer infos.
// It gets those bytes decompressed by us, since its LZMA decoder is wrong and its zstd package is not installed.
import type { ArrayMember, TBuffer, TFile } from 'jsroot/io';
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
  const described = { bytes: infos, keyBytes: infoKey.keyBytes };
  const known = takeKnown(described);
  try {
    const file = known?.file ?? (await openEmpty(jsroot));
    const read = quietly(() => {
      const classes = known?.classes ?? readClasses(jsroot, file, described);
      const buffer = bufferOf(jsroot, file, { bytes: object, keyBytes: key.keyBytes });
      const tree = {};
      buffer.mapObject(1, tree);
      return { tree: checkTree(buffer.classStreamer(tree, key.className)), classes };
    });
    keepKnown({ ...described, file, classes: read.classes });
    return read;
  } catch (cause) {
    if (cause instanceof ColweaveError) throw cause;
    throw new ColweaveError('source/damaged', 'the description of the tree cannot be decoded', { cause });
  }
}

/** The bytes of an object, and of the key in front of it. */
interface ObjectRecord {
  readonly bytes: Uint8Array;
  readonly keyBytes: number;
}

/** Streamer infos, and the file of jsroot's that knows them, with what it has made of them. */
interface Known extends ObjectRecord {
  readonly file: TFile;
  readonly classes: Classes;
}

/** Files of one production have the same streamer infos, byte by byte: they are decoded once. */
const known: Known[] = [];
const KNOWN_MAX = 4;

/** It is put back when a tree could be read by it: what an error leaves half made is not used again. */
function takeKnown({ bytes, keyBytes }: ObjectRecord): Known | undefined {
  const at = known.findIndex((each) => each.keyBytes === keyBytes && Buffer.compare(each.bytes, bytes) === 0);
  return at < 0 ? undefined : known.splice(at, 1)[0];
}

function keepKnown(read: Known): void {
  known.push(read);
  if (known.length > KNOWN_MAX) known.shift();
}

function readClasses(jsroot: Jsroot, file: TFile, record: ObjectRecord): Classes {
  file.extractStreamerInfos(bufferOf(jsroot, file, record));
  if (!file.fStreamerInfos?.arr?.length) throw damaged('the streamer infos cannot be decoded');
  checkInfos(file.fStreamerInfos.arr as readonly StreamerInfo[]);
  return collectClasses(file.fStreamerInfos.arr);
}

/** A TList without members, as its streamer writes it: byte count, version, TObject, name, count. */
const EMPTY_LIST = Buffer.from('40000011' + '0005' + '0001' + '00000000' + '00000000' + '00' + '00000000', 'hex');

/**
 * jsroot can decode only with a file that it opened; it gets one of ours without keys and streamer infos, always the same:
 * of header, directory and keys of the real one it would believe every number, and print what it makes of them.
 */
async function openEmpty(jsroot: Jsroot): Promise<TFile> {
  const bytes = emptyFile();
  class EmptyProxy extends jsroot.FileProxy {
    async openFile(): Promise<boolean> {
      return true;
    }
    getFileName(): string {
      return 'metadata';
    }
    getFileSize(): number {
      return bytes.length;
    }
    async readBuffers(place: readonly number[]): Promise<DataView[]> {
      const views: DataView[] = [];
      for (let i = 0; i < place.length; i += 2) {
        views.push(viewOf(bytes.subarray(place[i]!, place[i]! + place[i + 1]!)));
      }
      return views;
    }
  }
  const file = await jsroot.openFile(new EmptyProxy());
  if (!file) throw new Error('jsroot does not open an empty file');
  return file;
}

/** Header, root directory, a list of no keys, streamer infos of nothing: https://root.cern/doc/master/classTFile.html */
function emptyFile(): Buffer {
  const [begin, keys, infos] = [100, 400, 500];
  const keyBytes = 29;
  const directoryAt = begin + keyBytes + 2; // after the file's name and title
  const bytes = Buffer.alloc(1000);
  const key = (at: number, objectBytes: number): void => {
    bytes.writeUInt32BE(keyBytes + objectBytes, at);
    bytes.writeUInt16BE(4, at + 4);
    bytes.writeUInt32BE(objectBytes, at + 6);
    bytes.writeUInt16BE(keyBytes, at + 14);
    bytes.writeUInt32BE(at, at + 18);
  };
  bytes.write('root', 'latin1');
  const numbers = [62400, begin, bytes.length, 0, 0, 0, directoryAt - begin];
  numbers.forEach((value, i) => {
    bytes.writeUInt32BE(value, 4 + 4 * i);
  });
  bytes.writeUInt32BE(infos, 37);
  bytes.writeUInt32BE(keyBytes + EMPTY_LIST.length, 41);
  key(begin, 0);
  bytes.writeUInt16BE(5, directoryAt);
  bytes.writeUInt32BE(keyBytes + 4, directoryAt + 10);
  bytes.writeUInt32BE(begin, directoryAt + 18);
  bytes.writeUInt32BE(keys, directoryAt + 26);
  key(keys, 4);
  key(infos, EMPTY_LIST.length);
  EMPTY_LIST.copy(bytes, infos + keyBytes);
  return bytes;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The classes that a tree is made of. Other objects (user info, reference tables) are passed over by their length. */
const DESCRIBING =
  /^(TTree|TNtupleD?|TBranch\w*|TLeaf\w*|TStreamer\w*|TNamed|TObject|TObjString|TAtt(Line|Fill|Marker)|TArray[A-Z]\d*|TKey|TRef|TDatime|ROOT::TIOFeatures)$/;
/** ROOT keeps the sizes of so many dimensions of a member. */
const DIMENSIONS_MAX = 5;
/** More calls than this and one a byte of an object are members without bytes that nest in each other. */
const CALLS_MIN = 1000;

interface StreamerInfo {
  readonly fName?: string;
  readonly fElements?: { readonly arr?: readonly StreamerElement[] } | null;
}

interface StreamerElement {
  readonly _typename?: string;
}

/** In a damaged file a tree's own classes may have members of any number, which jsroot would make room for. */
function checkInfos(infos: readonly StreamerInfo[]): void {
  for (const { fName, fElements } of infos) {
    if (fName === undefined || !DESCRIBING.test(fName)) continue;
    const unbounded = ['TStreamerSTL', 'TStreamerLoop'];
    if (fElements?.arr?.some(({ _typename }) => unbounded.includes(_typename ?? ''))) {
      throw damaged(`class ${fName} has a member that it cannot have`);
    }
  }
}

/** jsroot's buffer with baskets kept as bytes, and with checks where damaged bytes would make it go on for long. */
function bufferOf(jsroot: Jsroot, file: TFile, { bytes, keyBytes }: ObjectRecord): TBuffer {
  let calls = 0;
  class CheckedBuffer extends jsroot.TBuffer {
    override classStreamer(target: object, className: string): object {
      if (++calls > CALLS_MIN + this.length) throw damaged('an object nests without end');
      if (className === 'TBasket') return readBasket(this, bytes, target as BasketObject);
      if (className === 'TObjArray') return readObjArray(this, target as { arr?: unknown[] });
      if (className === 'TList' || className === 'THashList')
        return readListObject(this, target as { arr?: unknown[] });
      return DESCRIBING.test(className) ? super.classStreamer(target, className) : passOver(this, target);
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
    override readNdimArray(member: ArrayMember, readItem: (buffer: TBuffer, member: ArrayMember) => unknown): unknown {
      const { fArrayDim: dimensions = 0, fArrayLength: length = 0, fMaxIndex: sizes = [] } = member;
      const items =
        dimensions < 1
          ? length
          : Array.from(sizes)
              .slice(0, dimensions)
              .reduce((all, size) => all * size, 1);
      if (dimensions > DIMENSIONS_MAX || !(items <= this.length - this.o)) {
        throw damaged('an array is longer than its record');
      }
      return super.readNdimArray(member, readItem);
    }
  }
  const buffer = new CheckedBuffer(viewOf(bytes), 0, file);
  buffer.fTagOffset = keyBytes; // references inside the object count from its key
  return buffer;
}

/** Every object that ROOT streams by itself begins with its length. */
function passOver(buffer: TBuffer, target: object): object {
  const version = buffer.readVersion();
  if (version.bytecnt === undefined) throw damaged('an object does not say how long it is');
  buffer.checkByteCount(version);
  return target;
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

/** TList::Streamer: members come with an option each, a text. The same care as for TObjArray. */
function readListObject(buffer: TBuffer, list: { arr?: unknown[] }): object {
  const version = buffer.readVersion();
  list.arr = [];
  if (version.val > 3) {
    buffer.classStreamer({}, 'TObject');
    buffer.readTString();
    const count = buffer.ntoi4();
    if (count < 0 || buffer.o + 5 * count > buffer.length) throw damaged('a list is longer than its record');
    for (let i = 0; i < count; i++) {
      list.arr.push(buffer.readObjectAny());
      buffer.readTString();
    }
  }
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
