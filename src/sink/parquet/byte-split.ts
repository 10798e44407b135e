// Owns BYTE_STREAM_SPLIT: first bytes of all values, then second bytes, and so on; zstd finds far more in that.

import { splitKernel } from '../../core/kernels.ts';
import { scratchBytes } from './scratch.ts';

const planesScratch = scratchBytes();

/**
 * Splits 32-bit words start, start + stride, ... (`count` of them) into four streams at `outAt`, each `streamBytes` after
 * the one before: by the kernel, else four words at a time transposed in registers, 3 times as fast as byte by byte.
 */
export function splitWords(
  words: Uint32Array,
  { start, stride, count }: { readonly start: number; readonly stride: number; readonly count: number },
  out: Uint8Array,
  { outAt, streamBytes }: { readonly outAt: number; readonly streamBytes: number },
): void {
  const whole = stride === 1 ? count & -16 : 0;
  if (whole > 0 && splitKernel(words, { from: start, count: whole }, out, { outAt, streamBytes })) {
    splitEach(words, { start, stride, from: whole, count }, out, { outAt, streamBytes });
    return;
  }
  const quads = count >> 2;
  const bytes = planesScratch.bytes(16 * quads);
  const planes = new Uint32Array(bytes.buffer, 0, 4 * quads);
  const plane1 = quads;
  const plane2 = 2 * quads;
  const plane3 = 3 * quads;
  let at = start;
  for (let i = 0; i < quads; i++) {
    const a = words[at]!;
    const b = words[at + stride]!;
    const c = words[at + 2 * stride]!;
    const d = words[at + 3 * stride]!;
    at += 4 * stride;
    const evenAB = (a & 0xff00ff) | ((b & 0xff00ff) << 8);
    const oddAB = ((a >>> 8) & 0xff00ff) | (b & 0xff00ff00);
    const evenCD = (c & 0xff00ff) | ((d & 0xff00ff) << 8);
    const oddCD = ((c >>> 8) & 0xff00ff) | (d & 0xff00ff00);
    planes[i] = (evenAB & 0xffff) | (evenCD << 16);
    planes[plane1 + i] = (oddAB & 0xffff) | (oddCD << 16);
    planes[plane2 + i] = (evenAB >>> 16) | (evenCD & 0xffff0000);
    planes[plane3 + i] = (oddAB >>> 16) | (oddCD & 0xffff0000);
  }
  for (let stream = 0; stream < 4; stream++) {
    out.set(bytes.subarray(4 * quads * stream, 4 * quads * (stream + 1)), outAt + stream * streamBytes);
  }
  splitEach(words, { start, stride, from: 4 * quads, count }, out, { outAt, streamBytes });
}

/** Words `from` to `count` of them, one at a time. */
function splitEach(
  words: Uint32Array,
  { start, stride, from, count }: { start: number; stride: number; from: number; count: number },
  out: Uint8Array,
  { outAt, streamBytes }: { readonly outAt: number; readonly streamBytes: number },
): void {
  for (let i = from; i < count; i++) {
    const word = words[start + i * stride]!;
    for (let stream = 0; stream < 4; stream++) out[outAt + stream * streamBytes + i] = word >>> (8 * stream);
  }
}
