// Owns counting what is there: flags of one byte each, 0 or 1, and rows of row maps, -1 = absent.

export function countOnes(flags: Uint8Array): number {
  let ones = 0;
  for (let i = 0; i < flags.length; i++) ones += flags[i]!;
  return ones;
}

/** How many of the rows of a row map are -1. */
export function countAbsent(rows: Int32Array): number {
  let count = 0;
  for (let i = 0; i < rows.length; i++) count += rows[i]! < 0 ? 1 : 0;
  return count;
}
