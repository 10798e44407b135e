// Owns what of a tree will be read: baskets of branches and of what counts their items, to be asked of a server ahead.
import type { BranchLayout, RootLayout } from './layout.ts';
import { basketsOf, type TreeReader } from './reader.ts';

interface Rows {
  readonly rowStart: number;
  readonly rowEnd: number;
}

/** The baskets that `readRows` of the same rows will read from the file, without those at hand. */
export function askBaskets(reader: TreeReader, branches: readonly BranchLayout[], rows: Rows): void {
  const { store, layout, kept } = reader;
  if (store.askAhead === undefined) return;
  const { seek, bytes } = layout.baskets;
  const wanted = new Set<number>();
  const counters = new Map<string, Rows>();
  for (const branch of branches) {
    for (const basket of basketsOf(layout, branch, rows)) wanted.add(basket);
    if (branch.counter !== undefined)
      counters.set(branch.counter, wider(layout, branch, rows, counters.get(branch.counter)));
  }
  for (const [name, span] of counters) {
    for (const basket of basketsOf(layout, reader.branches.get(name)!, span)) wanted.add(basket);
  }
  const fromFile = [...wanted].filter((basket) => seek[basket]! >= 0 && !kept.baskets.has(basket));
  store.askAhead(fromFile.map((basket) => ({ offset: seek[basket]!, length: bytes[basket]! })));
}

/** A counter is read over all baskets that its lists touch. */
function wider(layout: RootLayout, branch: BranchLayout, rows: Rows, before: Rows = rows): Rows {
  const { baskets } = layout;
  let { rowStart, rowEnd } = before;
  for (const basket of basketsOf(layout, branch, rows)) {
    rowStart = Math.min(rowStart, baskets.rowStart[basket]!);
    rowEnd = Math.max(rowEnd, baskets.rowEnd[basket]!);
  }
  return { rowStart, rowEnd };
}
