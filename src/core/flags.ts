// Owns counting flags: one byte each, 0 or 1.

export function countOnes(flags: Uint8Array): number {
  let ones = 0;
  for (let i = 0; i < flags.length; i++) ones += flags[i]!;
  return ones;
}
