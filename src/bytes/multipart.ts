// Owns what a server sends for ranges: the parts of multipart/byteranges, told apart by their lengths, and which piece each byte is of.
// XrdHttp uses one boundary for all files, so data may hold it: nothing is searched for, each part says how long it is.
import type { Piece } from './ranges.ts';

/** `bytes 0-63/1000`; the whole size may be `*`. */
export interface ContentRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly size: number | undefined;
}

export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = /^\s*bytes\s+(\d+)-(\d+)\/(\d+|\*)\s*$/i.exec(value ?? '');
  if (match === null) return undefined;
  const [start, last] = [Number(match[1]), Number(match[2])];
  const size = match[3] === '*' ? undefined : Number(match[3]);
  const sound = Number.isSafeInteger(last) && start <= last && (size === undefined || last < size);
  return sound ? { start, end: last + 1, size } : undefined;
}

/** Something in an answer is not as it must be; `message` says what. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
}

/** Takes bytes of the object wherever they come from, and knows when all pieces are full. */
export interface Filler {
  put(offset: number, bytes: Uint8Array): void;
  readonly isFull: boolean;
}

/** `pieces` in file order. Bytes that no piece wants are dropped; each piece is filled from its start. */
export function fillerOf(pieces: readonly Piece[]): Filler {
  const filled = new Array<number>(pieces.length).fill(0);
  let missing = pieces.reduce((sum, { into }) => sum + into.length, 0);
  let at = 0;
  return {
    put(offset, bytes) {
      const end = offset + bytes.length;
      // answers come in file order, nearly always: look on from the last piece
      if (at >= pieces.length || pieces[at]!.offset > offset) at = 0;
      while (at < pieces.length && endOf(pieces[at]!) <= offset) at++;
      for (let i = at; i < pieces.length && pieces[i]!.offset < end; i++) {
        const piece = pieces[i]!;
        const from = Math.max(piece.offset, offset);
        const to = Math.min(endOf(piece), end);
        if (from - piece.offset !== filled[i]) throw new BadAnswer('bytes came twice, or not in order');
        piece.into.set(bytes.subarray(from - offset, to - offset), from - piece.offset);
        filled[i] = to - piece.offset;
        missing -= to - from;
      }
    },
    get isFull() {
      return missing === 0;
    },
  };
}

const endOf = ({ offset, into }: Piece): number => offset + into.length;

/** Longer lines between parts are no headers. */
const HEAD_BYTES_MAX = 4096;

export interface PartReader {
  /** The next bytes of the body. Errors: BadAnswer. */
  take(bytes: Uint8Array): void;
  /** Call at the end of the body. Errors: BadAnswer where it ends inside a part. */
  end(): void;
}

/**
 * Reads the body of a multipart answer. `onRange` is told of each part's place before its bytes.
 * Errors: BadAnswer; what the callbacks throw.
 */
export function readParts(
  boundary: string,
  onRange: (range: ContentRange) => void,
  onBytes: (offset: number, bytes: Uint8Array) => void,
): PartReader {
  let head = Buffer.alloc(0);
  let range: ContentRange | undefined;
  let offset = 0;
  let over = false;
  const takeHead = (bytes: Uint8Array): Uint8Array => {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const all = head.length === 0 ? view : Buffer.concat([head, view]);
    const parsed = parseHead(all, boundary);
    if (parsed === 'more') {
      if (all.length > HEAD_BYTES_MAX) throw new BadAnswer('a part has no place');
      head = Buffer.from(all);
      return EMPTY;
    }
    const rest = all.subarray(parsed.bytes);
    head = Buffer.alloc(0);
    range = parsed.range;
    if (range === undefined) over = true;
    else {
      onRange(range);
      offset = range.start;
    }
    return rest;
  };
  return {
    take(bytes) {
      let left = bytes;
      while (left.length > 0 && !over) {
        if (range === undefined) {
          left = takeHead(left);
          continue;
        }
        const own = left.subarray(0, range.end - offset);
        onBytes(offset, own);
        offset += own.length;
        left = left.subarray(own.length);
        if (offset === range.end) range = undefined;
      }
    },
    end() {
      if (!over) throw new BadAnswer('the answer ends inside a part');
    },
  };
}

const EMPTY = new Uint8Array(0);

/** A boundary line and headers up to the empty line; `range` undefined: it was the last boundary. */
function parseHead(
  head: Buffer,
  boundary: string,
): 'more' | { readonly bytes: number; readonly range: ContentRange | undefined } {
  let text = head.toString('latin1', 0, HEAD_BYTES_MAX + 2);
  let skipped = 0;
  while (text.startsWith('\r\n')) {
    text = text.slice(2);
    skipped += 2;
  }
  if (text === '\r') return 'more'; // an answer comes in pieces that may end anywhere
  const line = `--${boundary}`;
  if (text.length < line.length + 2) {
    if (!line.startsWith(text.slice(0, line.length))) throw new BadAnswer('no part begins where one should');
    return 'more';
  }
  if (!text.startsWith(line)) throw new BadAnswer('no part begins where one should');
  if (text.startsWith(`${line}--`)) return { bytes: skipped + line.length + 2, range: undefined };
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 'more';
  const field = /^content-range:\s*(.+?)\s*$/im.exec(text.slice(0, end));
  const range = parseContentRange(field?.[1]);
  if (range === undefined) throw new BadAnswer('a part does not say which bytes it holds');
  return { bytes: skipped + end + 4, range };
}

/** undefined: the answer has one part, or is no multipart at all. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (!/^multipart\/byteranges/i.test(contentType ?? '')) return undefined;
  const match = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType!);
  return match?.[1] ?? match?.[2];
}
