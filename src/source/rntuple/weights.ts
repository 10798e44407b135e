// Owns what columns weigh, by the page lists: in the file, and in memory.
import { dtypeBytes } from '../../core/dtype.ts';
import { columnsOf, type Node, type RntupleLayout } from './layout.ts';

const OFFSET_BYTES = 4;

/** Of all pages of these nodes, each column once. */
export function storedBytes(layout: RntupleLayout, nodes: readonly Node[]): number {
  const { chunks, pages, columns, clusters } = layout;
  let bytes = 0;
  for (const column of new Set(nodes.flatMap(columnsOf))) {
    for (let cluster = 0; cluster < clusters.rowEnd.length; cluster++) {
      const chunk = cluster * columns.length + column;
      for (let page = chunks.pageStart[chunk]!; page < chunks.pageStart[chunk + 1]!; page++) {
        bytes += pages.bytes[page]!;
      }
    }
  }
  return bytes;
}

/** Of the values as columns hold them; offsets of a collection once. */
export function memoryBytes(layout: RntupleLayout, nodes: readonly Node[]): number {
  const sizes = new Map<number, number>();
  for (const node of nodes) addSizes(node, sizes);
  let bytes = 0;
  for (const [column, size] of sizes) bytes += size * elementsOf(layout, column);
  return bytes;
}

function elementsOf({ chunks, columns, clusters }: RntupleLayout, column: number): number {
  let sum = 0;
  for (let cluster = 0; cluster < clusters.rowEnd.length; cluster++) {
    sum += chunks.elements[cluster * columns.length + column]!;
  }
  return sum;
}

/** Bytes an element of each column; a column may serve several nodes. */
function addSizes(node: Node, sizes: Map<number, number>): void {
  const add = (columns: readonly number[], bytes: number) => {
    for (const column of columns) sizes.set(column, Math.max(bytes, sizes.get(column) ?? 0));
  };
  switch (node.kind) {
    case 'leaf':
      add(node.columns, dtypeBytes(node.dtype));
      return;
    case 'count':
      add(node.index, dtypeBytes(node.dtype));
      return;
    case 'text':
      add(node.index, OFFSET_BYTES);
      add(node.bytes, 1);
      return;
    case 'array':
      addSizes(node.item, sizes);
      return;
    case 'list':
    case 'optional':
      add(node.index, OFFSET_BYTES);
      addSizes(node.item, sizes);
  }
}
