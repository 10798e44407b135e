// Owns adler32 (RFC 1950), the sum that grid servers keep of their files.

const PRIME = 65521;
/** So many bytes fit into the sums before they must be reduced: 255 n (n + 1) / 2 + (n + 1) (PRIME - 1) stays below 2^32. */
const RUN_BYTES = 5552;

/** 8 lower-case digits. */
export function adler32Hex(bytes: Uint8Array): string {
  let low = 1;
  let high = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + RUN_BYTES);
    for (; at < end; at++) {
      low += bytes[at]!;
      high += low;
    }
    low %= PRIME;
    high %= PRIME;
  }
  return (high * 65536 + low).toString(16).padStart(8, '0');
}
