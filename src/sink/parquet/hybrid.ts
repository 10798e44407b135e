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
    const packedEnd = endOfPacked(values, { start: i, end }, runMin);
    const groups = (packedEnd - i + 7) >> 3;
    at = writeVarint(groups * 2 + 1, out, at);
    at = packBits(values, { start: i, end: packedEnd }, width, out, at);
    i = packedEnd;
  }
  return at;
}

/** Where the next run worth a header starts, in steps of eight values from `start`. */
function endOfPacked(values: SmallNumbers, { start, end }: Slice, runMin: number): number {
  let at = start + 8;
  while (at < end) {
    const runEnd = endOfRun(values, at, Math.min(end, at + runMin));
    if (runEnd - at >= runMin) return at;
    // All that starts before this run's end is shorter still.
    at = Math.max(at + 8, start + ((runEnd - start + 7) & ~7));
  }
  return end;
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
  const wholeEnd = end - ((end - start) & 7);
  if (width === 8) out.set(values.subarray(start, wholeEnd), outAt);
  else if (values instanceof Uint8Array && width === 1) packOnes(values, { start, end: wholeEnd }, out, outAt);
  else if (values instanceof Uint8Array && width === 2) packTwos(values, { start, end: wholeEnd }, out, outAt);
  else if (values instanceof Uint8Array && width === 4) packFours(values, { start, end: wholeEnd }, out, outAt);
  else return packAny(values, { start, end }, width, out, outAt);
  if (wholeEnd === end) return groupsEnd;
  return packAny(values, { start: wholeEnd, end }, width, out, outAt + ((wholeEnd - start) >> 3) * width);
}

function packOnes(values: Uint8Array, { start, end }: Slice, out: Uint8Array, outAt: number): void {
  let at = outAt;
  for (let i = start; i < end; i += 8) {
    const low = values[i]! | (values[i + 1]! << 1) | (values[i + 2]! << 2) | (values[i + 3]! << 3);
    const high = values[i + 4]! | (values[i + 5]! << 1) | (values[i + 6]! << 2) | (values[i + 7]! << 3);
    out[at++] = low | (high << 4);
  }
}

function packTwos(values: Uint8Array, { start, end }: Slice, out: Uint8Array, outAt: number): void {
  let at = outAt;
  for (let i = start; i < end; i += 4) {
    out[at++] = values[i]! | (values[i + 1]! << 2) | (values[i + 2]! << 4) | (values[i + 3]! << 6);
  }
}

function packFours(values: Uint8Array, { start, end }: Slice, out: Uint8Array, outAt: number): void {
  let at = outAt;
  for (let i = start; i < end; i += 2) out[at++] = values[i]! | (values[i + 1]! << 4);
}

function packAny(values: SmallNumbers, { start, end }: Slice, width: number, out: Uint8Array, outAt: number): number {
  const groupsEnd = outAt + ((end - start + 7) >> 3) * width;
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
