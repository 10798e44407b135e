// Owns the RLE / bit-packed hybrid encoding of small numbers: levels, booleans, dictionary indices.
// https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE

/** A run of equal values is worth a header of its own when it saves more than this many bits of packed values. */
const RUN_BITS_MIN = 64;
const HEADER_BYTES_MAX = 5;

export type SmallNumbers = Uint8Array | Uint16Array;

export interface Slice {
  readonly start: number;
  readonly end: number;
}

/** Bits to write a number up to `max` with; at least 1, since width 0 is a corner that readers get wrong. */
export function bitWidth(max: number): number {
  return Math.max(1, 32 - Math.clz32(max));
}

/** Equal values from which a run is written as one: a multiple of 8, so that packed groups stay whole. */
function runLengthMin(width: number): number {
  return Math.max(8, Math.ceil(RUN_BITS_MIN / width / 8) * 8);
}

export function hybridBytesMax(count: number, width: number): number {
  const groups = Math.ceil(count / 8);
  const runs = Math.ceil(count / runLengthMin(width)) + 1;
  return groups * width + 2 * runs * (HEADER_BYTES_MAX + 2);
}

/** Writes values start .. end, each below 2^width, to `out` from `outAt`; returns where it ended. `width` is 1 to 16. */
export function writeHybrid(
  values: SmallNumbers,
  { start, end }: Slice,
  width: number,
  out: Uint8Array,
  outAt: number,
): number {
  const runMin = runLengthMin(width);
  let at = outAt;
  let i = start;
  while (i < end) {
    const runEnd = endOfRun(values, i, end);
    if (runEnd - i >= runMin || runEnd === end) {
      at = writeRun(values[i]!, runEnd - i, width, out, at);
      i = runEnd;
      continue;
    }
    let packedEnd = i + 8;
    while (packedEnd < end && endOfRun(values, packedEnd, Math.min(end, packedEnd + runMin)) - packedEnd < runMin) {
      packedEnd += 8;
    }
    packedEnd = Math.min(packedEnd, end);
    const groups = (packedEnd - i + 7) >> 3;
    at = writeVarint(groups * 2 + 1, out, at);
    at = packBits(values, { start: i, end: packedEnd }, width, out, at);
    i = packedEnd;
  }
  return at;
}

function endOfRun(values: SmallNumbers, start: number, end: number): number {
  const value = values[start];
  let i = start + 1;
  while (i < end && values[i] === value) i++;
  return i;
}

function writeRun(value: number, count: number, width: number, out: Uint8Array, outAt: number): number {
  let at = writeVarint(count * 2, out, outAt);
  out[at++] = value & 0xff;
  if (width > 8) out[at++] = value >> 8;
  return at;
}

export function writeVarint(value: number, out: Uint8Array, outAt: number): number {
  let at = outAt;
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 128)) out[at++] = (left % 128) | 0x80;
  out[at++] = left;
  return at;
}

/** Values one after the other, low bit first, the last group of eight filled up with zeros. */
export function packBits(
  values: SmallNumbers,
  { start, end }: Slice,
  width: number,
  out: Uint8Array,
  outAt: number,
): number {
  const groupsEnd = outAt + ((end - start + 7) >> 3) * width;
  if (width === 8) {
    out.set(values.subarray(start, end), outAt);
    out.fill(0, outAt + end - start, groupsEnd);
    return groupsEnd;
  }
  let at = outAt;
  let bits = 0;
  let filled = 0;
  for (let i = start; i < end; i++) {
    bits |= values[i]! << filled;
    filled += width;
    for (; filled >= 8; filled -= 8) {
      out[at++] = bits & 0xff;
      bits >>>= 8;
    }
  }
  if (filled > 0) out[at++] = bits;
  out.fill(0, at, groupsEnd);
  return groupsEnd;
}
