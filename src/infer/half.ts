// Owns half precision: binary16 to and from f32, rounded to nearest even.

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The bits of the nearest half; values that are too large become infinite. */
export function halfBits(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa === 0 ? 0 : 0x200 | (mantissa >>> 13));
  const own = exponent - 127 + 15;
  if (own >= 0x1f) return sign | 0x7c00;
  if (own > 0) return sign | roundedHalf((own << 23) | mantissa, 13);
  return own < -10 ? sign : sign | roundedHalf(mantissa | 0x800000, 14 - own);
}

/** A carry out of the mantissa is the next exponent, as it should be. */
function roundedHalf(bits: number, drop: number): number {
  const kept = bits >>> drop;
  const rest = bits & ((1 << drop) - 1);
  const middle = 1 << (drop - 1);
  return kept + Number(rest > middle || (rest === middle && (kept & 1) === 1));
}

export function halfValue(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
