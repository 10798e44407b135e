// Owns pages out of compression that are kept because the next read begins inside them, in memory that is used again.

/** About what a cluster of a hundred columns has in pages of a megabyte, and little beside a batch of columns. */
const KEPT_BYTES_MAX = 32 * 1024 * 1024;
/** Calls that a page is kept for without being wanted: one of `read` makes several. */
const KEPT_CALLS_MAX = 4;

/** A page out of compression; `bytes` may be memory that the next page is put into. */
export interface OpenPage {
  readonly bytes: Uint8Array;
  readonly elements: number;
}

interface KeptPage extends OpenPage {
  call: number;
}

/** Pages of all files that this thread reads: reads go from file to file, and so does the memory. */
const pages = new Map<number, KeptPage>();
/** Memory of pages that are not kept any more, largest last. */
const spare: Uint8Array[] = [];
/** Of both. */
let heldBytes = 0;
/** Counts calls. */
let calls = 0;
let files = 0;

/** Number of a file among those of this thread: what tells its pages from others'. */
export function numberFile(): number {
  return files++;
}

const keyOf = (file: number, page: number): number => file * 2 ** 32 + page;

/** What is at hand grows older with each. */
export function beginCall(): void {
  calls++;
}

export function keptPage(file: number, page: number): OpenPage | undefined {
  const known = pages.get(keyOf(file, page));
  if (known !== undefined) known.call = calls;
  return known;
}

export function forgetPage(file: number, page: number): void {
  forget(keyOf(file, page));
}

export function forgetFile(file: number): void {
  for (const key of pages.keys()) if (Math.floor(key / 2 ** 32) === file) forget(key);
}

function forget(key: number): void {
  const known = pages.get(key);
  if (known === undefined) return;
  pages.delete(key);
  const memory = new Uint8Array(known.bytes.buffer);
  const at = spare.findIndex(({ length }) => length > memory.length);
  spare.splice(at < 0 ? spare.length : at, 0, memory);
}

/**
 * Room for a page that is to be kept, filled by `fill`; undefined where there is none. Pages that reads went past make
 * room first; those at hand stay: reads go forward, and round and round over the columns.
 */
export function keepPage(
  file: number,
  page: number,
  { length, elements }: { readonly length: number; readonly elements: number },
  fill: (room: Uint8Array) => void,
): OpenPage | undefined {
  const memory = takeMemory(length);
  if (memory === undefined) return undefined;
  const bytes = memory.subarray(0, length);
  const open = { bytes, elements, call: calls };
  const key = keyOf(file, page);
  pages.set(key, open);
  try {
    fill(bytes);
  } catch (cause) {
    forget(key);
    throw cause;
  }
  return open;
}

function takeMemory(length: number): Uint8Array | undefined {
  const found = takeSpare(length);
  if (found !== undefined) return found;
  if (heldBytes + length > KEPT_BYTES_MAX) {
    for (const [key, { call }] of pages) if (call < calls - KEPT_CALLS_MAX) forget(key);
    const freed = takeSpare(length);
    if (freed !== undefined) return freed;
    while (heldBytes + length > KEPT_BYTES_MAX && spare.length > 0) heldBytes -= spare.shift()!.length;
    if (heldBytes + length > KEPT_BYTES_MAX) return undefined;
  }
  heldBytes += length;
  return new Uint8Array(length);
}

/** The smallest that is long enough, and not so long that most of it would lie idle. */
function takeSpare(length: number): Uint8Array | undefined {
  const at = spare.findIndex((memory) => memory.length >= length);
  if (at < 0 || spare[at]!.length > 2 * length + 4096) return undefined;
  return spare.splice(at, 1)[0];
}
