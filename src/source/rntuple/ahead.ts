// Owns what of an RNTuple will be read, to be asked of a server ahead: pages whose place is known before an index column is read.
import { keptPage } from './kept.ts';
import { columnsOf, type Node } from './layout.ts';
import { storedPage } from './pages.ts';
import type { RntupleReader } from './reader.ts';

/** Pages that `readRows` of the same rows will read, without those at hand; of lists cut within a cluster only their lengths. */
export function askPages(
  { store, layout, file }: RntupleReader,
  nodes: readonly Node[],
  rows: { readonly rowStart: number; readonly rowEnd: number },
): void {
  if (store.askAhead === undefined) return;
  const { clusters, chunks, columns } = layout;
  const { elementEnd } = layout.pages;
  const wanted = new Set<number>();
  for (const [cluster, first] of clusters.rowStart.entries()) {
    const last = clusters.rowEnd[cluster]!;
    const start = Math.max(rows.rowStart, first);
    const end = Math.min(rows.rowEnd, last);
    if (start >= end) continue;
    const isWhole = start === first && end === last;
    for (const column of nodes.flatMap(isWhole ? columnsOf : rowColumnsOf)) {
      const chunk = cluster * columns.length + column;
      let begin = first + chunks.lead[chunk]!;
      for (let page = chunks.pageStart[chunk]!; page < chunks.pageStart[chunk + 1]!; page++) {
        const next = first + chunks.lead[chunk]! + elementEnd[page]!;
        if ((isWhole || (begin < end && next > start)) && keptPage(file, page) === undefined) wanted.add(page);
        begin = next;
      }
    }
  }
  store.askAhead([...wanted].map((page) => storedPage(layout, page)));
}

/** Those with one element a row. */
function rowColumnsOf(node: Node): readonly number[] {
  if (node.kind === 'array') return [];
  return node.kind === 'leaf' ? node.columns : node.index;
}
