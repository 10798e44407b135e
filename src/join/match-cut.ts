// Owns what outer and right joins are of, once a selection has cut events of the primary.
import { grow, type How, type RowMap } from './match.ts';

/**
 * Outer and right after a selection: events that it cut are no longer the primary's, so that they come behind it, among
 * those of the first friend that has them, in that friend's order; without a friend that has them they are gone.
 */
export function cutPrimary(
  [own, ...friends]: readonly RowMap[],
  selected: Uint8Array,
  unionRows: number,
  how: How,
): { readonly maps: readonly RowMap[]; readonly kept: Int32Array; readonly cut: Uint8Array } {
  const primary = own === undefined ? grow(undefined, unionRows, unionRows) : own;
  for (let i = 0; i < selected.length; i++) if (selected[i] === 0) primary[i] = -1;
  const kept: number[] = [];
  const taken = new Uint8Array(unionRows);
  const add = (row: number) => {
    taken[row] = 1;
    kept.push(row);
  };
  const has = (map: RowMap, row: number) => map === undefined || map[row]! >= 0;
  for (let row = 0; row < unionRows; row++) {
    if (primary[row]! >= 0 && (how === 'outer' || friends.every((map) => has(map, row)))) add(row);
  }
  for (const map of friends) {
    for (const row of inOrderOf(map, unionRows)) if (taken[row] === 0 && primary[row]! < 0) add(row);
  }
  const cut = Uint8Array.from(kept, (row) => (selected[row] === 0 ? 1 : 0));
  return { maps: [primary, ...friends], kept: Int32Array.from(kept), cut };
}

/** The union rows that a source has, in the order of the source. */
function inOrderOf(map: RowMap, unionRows: number): Int32Array {
  const rows = map === undefined ? unionRows : map.reduce((most, row) => Math.max(most, row + 1), 0);
  const unionRow = new Int32Array(rows).fill(-1);
  for (let row = 0; row < unionRows; row++) {
    const at = map === undefined ? row : map[row]!;
    if (at >= 0) unionRow[at] = row;
  }
  return unionRow.filter((row) => row >= 0);
}
