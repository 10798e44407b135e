// Owns the ways to damage bytes that fit any format: flips, boundary values, cuts, shifts, splices of two files.
import type { Random } from './random.ts';

/** Bytes start .. end (exclusive) of a file. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Mutated {
  readonly bytes: Buffer;
  /** Where bytes changed; absent = anywhere. */
  readonly touched?: readonly Range[];
}

export interface MutationInput {
  readonly bytes: Buffer;
  readonly random: Random;
  /** Below CUTS: which of the even cuts a cut is to be. */
  readonly turn: number;
  /** Another file of the same format. */
  readonly other: () => Buffer;
}

/** Undefined where the bytes offer no place for it. */
export type Mutation = (input: MutationInput) => Mutated | undefined;

/** A file is cut at every 1/50 of its length, then anywhere. */
export const CUTS = 50;

/** Values at which lengths, counts and offsets turn over. */
const BOUNDARIES: readonly bigint[] = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0xff_ffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0xffff_fffen,
  0x1_0000_0000n,
  0x1f_ffff_ffff_ffffn,
  0x20_0000_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
];

export function boundary(random: Random): bigint {
  if (random.once(3)) return BigInt(random.below(2 ** 31));
  return random.pick(BOUNDARIES);
}

/** Writes the low `width` bytes of a value at `at`, as far as the file goes. */
export function overwrite(bytes: Buffer, at: number, value: bigint, width: number, big: boolean): Range {
  for (let k = 0; k < width; k++) {
    const place = at + (big ? width - 1 - k : k);
    if (place >= 0 && place < bytes.length) bytes[place] = Number((value >> BigInt(8 * k)) & 0xffn);
  }
  return { start: at, end: at + width };
}

/** A value near the one that stands there: one more, one less, twice, half, another sign. */
export function nearby(bytes: Buffer, at: number, width: number, big: boolean, random: Random): bigint {
  let value = 0n;
  for (let k = 0; k < width; k++) {
    const place = at + (big ? k : width - 1 - k);
    value = (value << 8n) | BigInt(bytes[place] ?? 0);
  }
  const limit = 1n << BigInt(8 * width);
  const changed = random.pick([value + 1n, value - 1n, value * 2n, value / 2n, -value, value + 256n, value ^ 0x80n]);
  return ((changed % limit) + limit) % limit;
}

/** Changes one field of `width` bytes to a boundary value or one near its own. */
export function lie(bytes: Buffer, at: number, width: number, big: boolean, random: Random): Range {
  const value = random.once(2) ? boundary(random) : nearby(bytes, at, width, big, random);
  return overwrite(bytes, at, value, width, big);
}

const flips: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const touched: Range[] = [];
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(out.length);
    out[at] = out[at]! ^ (random.once(2) ? 1 << random.below(8) : 1 + random.below(255));
    touched.push({ start: at, end: at + 1 });
  }
  return { bytes: out, touched };
};

const overwrites: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const touched: Range[] = [];
  for (let count = 1 + random.below(3); count > 0; count--) {
    const width = random.pick([1, 2, 3, 4, 4, 8]);
    touched.push(overwrite(out, random.below(out.length), boundary(random), width, random.once(2)));
  }
  return { bytes: out, touched };
};

const cuts: Mutation = ({ bytes, random, turn }) => ({
  bytes: Buffer.from(
    bytes.subarray(0, turn < CUTS ? Math.floor((bytes.length * turn) / CUTS) : random.below(bytes.length)),
  ),
});

/** A stretch of zeros, of ones, of noise, or of other bytes of the file: lost blocks of a disk. */
const stretches: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const length = Math.min(out.length, random.pick([4, 16, 64, 512, 4096]));
  const at = random.below(out.length - length + 1);
  const touched = [{ start: at, end: at + length }];
  const kind = random.below(4);
  if (kind < 2) out.fill(kind === 0 ? 0 : 255, at, at + length);
  else if (kind === 2) for (let i = 0; i < length; i++) out[at + i] = random.below(256);
  else {
    const from = random.below(out.length - length + 1);
    bytes.copy(out, at, from, from + length);
  }
  return { bytes: out, touched };
};

/** Bytes put in or taken out: everything behind them moves. */
const shifts: Mutation = ({ bytes, random }) => {
  const at = random.below(bytes.length);
  const length = random.pick([1, 2, 3, 4, 8, 100]);
  const head = bytes.subarray(0, at);
  if (random.once(2)) return { bytes: Buffer.concat([head, bytes.subarray(at + length)]) };
  return { bytes: Buffer.concat([head, Buffer.alloc(length, random.below(256)), bytes.subarray(at)]) };
};

/** The start of one file and the end of another, or a piece of another inside. */
const splices: Mutation = ({ bytes, random, other }) => {
  const donor = other();
  if (random.once(2)) {
    const at = random.below(bytes.length);
    const from = random.once(2) ? Math.max(0, donor.length - (bytes.length - at)) : random.below(donor.length);
    return { bytes: Buffer.concat([bytes.subarray(0, at), donor.subarray(from)]) };
  }
  const out = Buffer.from(bytes);
  const length = 1 + random.below(Math.min(out.length, donor.length, 20_000));
  const at = random.below(out.length - length + 1);
  const from = random.below(donor.length - length + 1);
  donor.copy(out, at, from, from + length);
  return { bytes: out };
};

export const GENERIC_MUTATIONS: Readonly<Record<string, Mutation>> = {
  flip: flips,
  overwrite: overwrites,
  cut: cuts,
  stretch: stretches,
  shift: shifts,
  splice: splices,
};
