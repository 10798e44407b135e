// Owns the baskets of a branch as the tree lists them: in row order, on disk or inside the tree, and what they weigh.
import { ColweaveError } from '../../core/errors.ts';
import type { BasketData, RootLayout } from './layout.ts';
import type { BranchObject } from './tree-object.ts';
import { Unreadable } from './unreadable.ts';

export interface Basket {
  readonly seek: number;
  readonly bytes: number;
  readonly rowStart: number;
  readonly rowEnd: number;
}

/** Baskets found so far, of all branches. */
export interface BasketContext {
  readonly rows: number;
  readonly fileBytes: number;
  readonly collected: { readonly baskets: Basket[]; readonly embedded: BasketData[] };
}

/** By the tree's own account, for planning only: with keys and entry offsets; baskets inside the tree are on top. */
export function rawBytes(branch: BranchObject): number {
  const total = Number(branch.fTotBytes);
  const inside = branch.fBaskets.arr.reduce((sum, basket) => sum + (basket?.data?.payload.length ?? 0), 0);
  return (Number.isFinite(total) && total > 0 ? total : 0) + inside;
}

/** Baskets in row order: on disk, or inside the tree when they were not flushed. */
export function addBaskets(branch: BranchObject, type: string, context: BasketContext): void {
  const { rows, fileBytes, collected } = context;
  const written = Number(branch.fWriteBasket);
  const [seeks, sizes, entries] = [branch.fBasketSeek ?? [], branch.fBasketBytes ?? [], branch.fBasketEntry ?? []];
  const inside = branch.fBaskets.arr;
  if (!(Number.isSafeInteger(written) && written >= 0)) throw damaged(`branch "${branch.fName}" has no basket count`);
  let row = 0;
  for (let i = 0; row < rows; i++) {
    const embedded = inside[i];
    const last = i >= written;
    if (i > written) throw new Unreadable(type, `its baskets hold ${row} of ${rows} entries`);
    const rowEnd = last ? rows : Math.min(rows, Number(entries[i + 1]));
    if (Number(entries[i]) !== row || !(rowEnd >= row)) {
      throw damaged(`branch "${branch.fName}", basket ${i}: baskets do not follow each other`);
    }
    if (rowEnd === row) continue;
    if (embedded?.data && embedded.rows === rowEnd - row) {
      collected.embedded.push(embedded.data);
      collected.baskets.push({ seek: -collected.embedded.length, bytes: 0, rowStart: row, rowEnd });
    } else {
      const seek = Number(seeks[i] ?? 0);
      const bytes = Number(sizes[i] ?? 0);
      if (!(seek > 0 && bytes > 0)) throw new Unreadable(type, `its basket ${i} is not in the file`);
      if (!Number.isSafeInteger(seek)) throw damaged(`branch "${branch.fName}", basket ${i}: impossible position`);
      if (seek + bytes > fileBytes) throw cutOff(branch, { index: i, end: seek + bytes, fileBytes });
      collected.baskets.push({ seek, bytes, rowStart: row, rowEnd });
    }
    row = rowEnd;
  }
}

function cutOff(branch: BranchObject, at: { index: number; end: number; fileBytes: number }): ColweaveError {
  const what = `basket ${at.index} of "${branch.fName}" ends at byte ${at.end}, the file at ${at.fileBytes}`;
  return new ColweaveError('source/truncated', what);
}

export function tableOf(baskets: readonly Basket[]): RootLayout['baskets'] {
  const seek = new Float64Array(baskets.length);
  const bytes = new Int32Array(baskets.length);
  const rowStart = new Int32Array(baskets.length);
  const rowEnd = new Int32Array(baskets.length);
  for (const [i, basket] of baskets.entries()) {
    seek[i] = basket.seek;
    bytes[i] = basket.bytes;
    rowStart[i] = basket.rowStart;
    rowEnd[i] = basket.rowEnd;
  }
  return { seek, bytes, rowStart, rowEnd };
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', what);
}
