// Owns what is read together: ranges asked for become regions of the object, regions become pieces, pieces become requests.
import { ColweaveError } from '../core/errors.ts';
import type { ByteRange } from './types.ts';

/** Neighbouring ranges that are read as one; `members` are their indices. */
export interface Group {
  offset: number;
  length: number;
  readonly members: number[];
}

/** Ranges in file order, joined where the gap is at most `gapBytesMax` and the whole at most `groupBytesMax`. */
export function coalesce(
  ranges: readonly ByteRange[],
  { gapBytesMax, groupBytesMax }: { readonly gapBytesMax: number; readonly groupBytesMax: number },
): Group[] {
  const order = ranges.map((_, index) => index).sort((left, right) => ranges[left]!.offset - ranges[right]!.offset);
  const groups: Group[] = [];
  let last: Group | undefined;
  for (const index of order) {
    const { offset, length } = ranges[index]!;
    const joined = last ? Math.max(last.length, offset + length - last.offset) : 0;
    if (last && offset <= last.offset + last.length + gapBytesMax && joined <= groupBytesMax) {
      last.length = joined;
      last.members.push(index);
    } else {
      last = { offset, length, members: [index] };
      groups.push(last);
    }
  }
  return groups;
}

/**
 * A damaged length must not become memory, nor a damaged position a read of whatever comes next.
 * Errors: source/damaged, source/truncated.
 */
export function checkRange(uri: string, { offset, length }: ByteRange, size: number): void {
  if (!(Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0)) {
    throw new ColweaveError('source/damaged', 'a position in the file is impossible', { where: [uri] });
  }
  if (length > 0 && offset + length > size) throw truncated(uri, offset + length, size);
}

export function truncated(uri: string, expectedEnd: number, size: number): ColweaveError {
  return new ColweaveError('source/truncated', `the file ends at byte ${size}, its data go on to ${expectedEnd}`, {
    where: [uri],
  });
}

/** Bytes of the object that are wanted, and where they go: `into` is as long as the piece. */
export interface Piece {
  readonly offset: number;
  readonly into: Uint8Array;
}

/** What of one read must travel, and the arrays that hold the answer once all pieces are filled. */
export interface LaidOut {
  readonly pieces: readonly Piece[];
  readonly arrays: readonly Uint8Array[];
}

/** A gap shorter than the headers of a further piece is always read over. */
const PIECE_OVERHEAD_BYTES = 128;

export interface PieceLimits {
  /** A longer run of wanted bytes is cut into pieces of this size. */
  readonly pieceBytesMax: number;
  /** Gaps up to this size are read over while few bytes travel for nothing. */
  readonly gapBytesMax: number;
  /** Beside the bytes asked for, one in so many may travel for nothing. */
  readonly wastePart: number;
}

/**
 * Lays ranges out in memory: neighbours share one array, in `room` where it fits. Gaps are read over, the smallest
 * first, while the bytes in them are a small part of those asked for: reading few columns must not move many.
 * Errors: source/damaged, source/truncated.
 */
export function layOut(
  uri: string,
  size: number,
  ranges: readonly ByteRange[],
  { pieceBytesMax, ...limits }: PieceLimits,
  room?: Uint8Array,
): LaidOut {
  for (const range of ranges) checkRange(uri, range, size);
  const wanted = ranges.flatMap(({ length }, index) => (length > 0 ? [index] : []));
  const own = wanted.map((index) => ranges[index]!);
  const gap = affordableGap(own, limits);
  const groups = coalesce(own, { gapBytesMax: gap, groupBytesMax: Number.POSITIVE_INFINITY });
  const arrays = new Array<Uint8Array>(ranges.length).fill(EMPTY);
  const pieces: Piece[] = [];
  const place = placesFor(groups, room);
  for (const { offset, length, members } of groups) {
    const bytes = place(length);
    for (const member of members) {
      const index = wanted[member]!;
      const range = ranges[index]!;
      arrays[index] = bytes.subarray(range.offset - offset, range.offset - offset + range.length);
    }
    for (let at = 0; at < length; at += pieceBytesMax) {
      pieces.push({ offset: offset + at, into: bytes.subarray(at, Math.min(length, at + pieceBytesMax)) });
    }
  }
  return { pieces, arrays };
}

const EMPTY = new Uint8Array(0);
/** Shorter runs share arrays of up to so many bytes: thousands of small ones cost more than the reading. */
const SHORT_BYTES_MAX = 64 * 1024;
const SHARED_BYTES_MAX = 2 ** 20;

/** Memory for one group after the other: in `room` where it fits. */
function placesFor(groups: readonly Group[], room: Uint8Array | undefined): (length: number) => Uint8Array {
  let used = 0;
  let shared: Uint8Array = EMPTY;
  let short = groups.reduce((sum, { length }) => sum + (length < SHORT_BYTES_MAX ? length : 0), 0);
  return (length) => {
    if (length < SHORT_BYTES_MAX) short -= length;
    if (room !== undefined && used + length <= room.length) {
      used += length;
      return room.subarray(used - length, used);
    }
    if (length >= SHORT_BYTES_MAX) return Buffer.allocUnsafeSlow(length);
    if (shared.length < length)
      shared = Buffer.allocUnsafeSlow(Math.max(length, Math.min(SHARED_BYTES_MAX, short + length)));
    const bytes = shared.subarray(0, length);
    shared = shared.subarray(length);
    return bytes;
  };
}

/** The widest gap such that all gaps up to it together cost a small part of the bytes asked for. */
function affordableGap(
  ranges: readonly ByteRange[],
  { gapBytesMax, wastePart }: Pick<PieceLimits, 'gapBytesMax' | 'wastePart'>,
): number {
  const sorted = [...ranges].sort((left, right) => left.offset - right.offset);
  const asked = sorted.reduce((sum, { length }) => sum + length, 0);
  const gaps: number[] = [];
  let end = 0;
  for (const [i, { offset, length }] of sorted.entries()) {
    if (i > 0 && offset > end && offset - end <= gapBytesMax) gaps.push(offset - end);
    end = Math.max(end, offset + length);
  }
  gaps.sort((left, right) => left - right);
  let spent = 0;
  let widest = PIECE_OVERHEAD_BYTES;
  for (const gap of gaps) {
    spent += gap;
    if (spent > asked / wastePart && gap > PIECE_OVERHEAD_BYTES) break;
    widest = Math.max(widest, gap);
  }
  return Math.min(widest, gapBytesMax);
}

/** Pieces in file order, cut into requests of at most so many pieces and bytes (one piece at least). */
export function toRequests(
  pieces: readonly Piece[],
  { piecesMax, requestBytesMax }: { readonly piecesMax: number; readonly requestBytesMax: number },
): readonly (readonly Piece[])[] {
  const requests: Piece[][] = [];
  let last: Piece[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    if (last.length > 0 && (last.length >= piecesMax || bytes + piece.into.length > requestBytesMax)) {
      requests.push(last);
      last = [];
      bytes = 0;
    }
    last.push(piece);
    bytes += piece.into.length;
  }
  if (last.length > 0) requests.push(last);
  return requests;
}
