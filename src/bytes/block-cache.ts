// Owns what is kept of a remote object: its metadata, read in few long reads, and payload that was asked for ahead.
import { makeRecent } from './recent.ts';
import { isRemembered, placeOf, recall, remember } from './remembered.ts';
import type { ByteRange, ByteStore } from './types.ts';
import { readWhole } from './whole.ts';

/** Reads of one range up to this size are metadata: they are kept, and a little more is read with them. */
const METADATA_BYTES_MAX = 2 ** 20;
/** What of the object's end comes with the first read there: key list and streamer infos of ROOT, footers of Parquet. */
const TAIL_BYTES = 16 * 1024;
/** Headers are read in one piece; servers of http have sent it when they were asked for the size. */
export const HEAD_BYTES = 1024;
/** Read behind a short metadata read, as what follows it is asked for next. */
const BEHIND_BYTES = 8 * 1024;
/** Baskets of counters are short; longer ranges are seldom read twice. */
const AGAIN_BYTES_MAX = 64 * 1024;
/** Asked ahead by one thread and not taken yet. */
export const AHEAD_BYTES_MAX = 24 * 2 ** 20;

/** Ranges of one request that was sent before anybody wanted them. */
interface Ahead {
  readonly arrays: Promise<readonly Uint8Array[]>;
  readonly index: number;
}

/** Bytes asked ahead in this thread, over all objects. */
let aheadBytes = 0;

export function withBlockCache(store: ByteStore): ByteStore {
  const { size, uri } = store;
  const ahead = new Map<string, Ahead>();
  const metadata = makeRecent();
  const recent = makeRecent();
  const closing = new AbortController();

  const readMetadata = async (range: ByteRange, signal?: AbortSignal): Promise<Uint8Array> => {
    const known = metadata.find(range);
    if (known !== undefined) return known;
    const window = windowFor(range, size);
    const [bytes] = await store.read([window], signal);
    metadata.put(window, bytes!);
    return bytes!.subarray(range.offset - window.offset, range.offset - window.offset + range.length);
  };
  /** Those that were asked ahead from there, the others now. */
  const take = async (
    ranges: readonly ByteRange[],
    rest: (ranges: readonly ByteRange[]) => Promise<readonly Uint8Array[]>,
  ) => {
    const arrays = ranges.map((range) => recent.get(range) ?? recall(uri, range));
    const asked = ranges.map((range, i) => (arrays[i] === undefined ? ahead.get(placeOf(range)) : undefined));
    const missing = [...ranges.keys()].filter((i) => arrays[i] === undefined && asked[i] === undefined);
    const others = missing.length === 0 ? [] : await rest(missing.map((i) => ranges[i]!));
    for (const [k, i] of missing.entries()) arrays[i] = others[k]!;
    for (const [i, each] of asked.entries()) {
      if (each === undefined) continue;
      arrays[i] = (await each.arrays)[each.index]!;
      if (ahead.delete(placeOf(ranges[i]!))) aheadBytes -= ranges[i]!.length;
    }
    for (const [i, range] of ranges.entries()) {
      remember(uri, range, arrays[i]!);
      if (range.length <= AGAIN_BYTES_MAX && recent.get(range) === undefined) {
        recent.put(range, Uint8Array.from(arrays[i]!)); // a copy: it may lie in room that is used again
      }
    }
    return arrays as readonly Uint8Array[];
  };
  return {
    ...store,
    read: async (ranges, signal) => {
      const [only] = ranges;
      if (ranges.length === 1 && isMetadata(only!, size)) return [await readMetadata(only!, signal)];
      return take(ranges, (rest) => store.read(rest, signal));
    },
    readInto: (ranges, room, signal) =>
      take(ranges, (rest) => store.readInto?.(rest, room, signal) ?? store.read(rest, signal)),
    askAhead(ranges) {
      const isNew = (range: ByteRange) =>
        range.length > 0 && !ahead.has(placeOf(range)) && !isRemembered(uri, range) && recent.get(range) === undefined;
      // in the order in which they will be wanted, as far as there is room
      const fresh: ByteRange[] = [];
      for (const range of ranges.filter(isNew).sort((left, right) => left.offset - right.offset)) {
        if (aheadBytes + range.length > AHEAD_BYTES_MAX) break;
        aheadBytes += range.length;
        fresh.push(range);
      }
      if (fresh.length === 0) return;
      const arrays = store.read(fresh, closing.signal);
      arrays.catch(() => {}); // whoever takes a range is told
      for (const [index, range] of fresh.entries()) ahead.set(placeOf(range), { arrays, index });
    },
    readWhole: (signal) => readWhole(store, signal),
    async close() {
      closing.abort(new Error('closed'));
      for (const key of ahead.keys()) aheadBytes -= Number(key.split(':')[1]);
      ahead.clear();
      metadata.clear();
      recent.clear();
      await store.close();
    },
  };
}

/** What is no place in the object is left to the store, which says so. */
function isMetadata({ offset, length }: ByteRange, size: number): boolean {
  return length > 0 && length <= METADATA_BYTES_MAX && offset >= 0 && offset + length <= size;
}

function windowFor({ offset, length }: ByteRange, size: number): ByteRange {
  const tail = Math.max(0, size - TAIL_BYTES);
  const end = offset + length;
  if (end <= HEAD_BYTES) return { offset: 0, length: Math.min(size, HEAD_BYTES) };
  if (end > tail) return { offset: Math.min(offset, tail), length: size - Math.min(offset, tail) };
  const behind = length < BEHIND_BYTES ? Math.min(size, end + BEHIND_BYTES) : end;
  return { offset, length: behind - offset };
}
