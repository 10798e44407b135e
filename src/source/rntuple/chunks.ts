// Owns the table of chunks: which representation a cluster uses, what late columns lack, and whether columns hold what rows need.
import { ColweaveError } from '../../core/errors.ts';
import { damaged } from './cursor.ts';
import type { ChunkTable, Node } from './layout.ts';
import type { Chunk, Cluster } from './page-list.ts';
import type { ColumnRecord } from './schema-records.ts';

/** Where a column is: so many elements a row, or an item of an index column (`inside`). */
interface Place {
  readonly inside: number | undefined;
  readonly each: number;
}

interface Build {
  readonly columns: readonly ColumnRecord[];
  readonly clusters: readonly Cluster[];
  readonly table: { present: Uint8Array; pageStart: Int32Array; lead: Int32Array; elements: Int32Array };
  /** What was settled of a column: a projected field has it from another. */
  readonly settled: Map<number, Place>;
}

/** Errors: source/damaged. */
export function chunkTable(
  columns: readonly ColumnRecord[],
  clusters: readonly Cluster[],
  nodes: readonly (readonly [name: string, node: Node])[],
): { readonly chunks: ChunkTable; readonly pageOrder: readonly Chunk[] } {
  const size = columns.length * clusters.length;
  const table = {
    present: new Uint8Array(size),
    pageStart: new Int32Array(size + 1),
    lead: new Int32Array(size),
    elements: new Int32Array(size),
  };
  const pageOrder: Chunk[] = [];
  let pages = 0;
  for (const [c, { chunks }] of clusters.entries()) {
    for (const { id } of columns) {
      const chunk = chunks[id];
      const at = c * columns.length + id;
      if (chunk !== undefined) {
        table.present[at] = 1;
        table.elements[at] = chunk.elements;
        pages += chunk.pageEnd - chunk.pageStart;
        pageOrder.push(chunk);
      }
      table.pageStart[at + 1] = pages;
    }
  }
  const build: Build = { columns, clusters, table, settled: new Map() };
  for (const [name, node] of nodes) {
    try {
      settle(node, { inside: undefined, each: 1 }, build);
    } catch (cause) {
      if (!(cause instanceof ColweaveError)) throw cause;
      throw new ColweaveError(cause.code, cause.message, { where: [`column ${name}`] });
    }
  }
  return { chunks: table, pageOrder };
}

function settle(node: Node, place: Place, build: Build): void {
  switch (node.kind) {
    case 'leaf':
      settleColumns(node.columns, place, build);
      return;
    case 'count':
      settleColumns(node.index, place, build);
      return;
    case 'text':
      settleColumns(node.index, place, build);
      settleColumns(node.bytes, { inside: node.index[0], each: 1 }, build);
      return;
    case 'array':
      settle(node.item, { ...place, each: place.each * node.size }, build);
      return;
    case 'list':
    case 'optional':
      settleColumns(node.index, place, build);
      settle(node.item, { inside: node.index[0], each: 1 }, build);
  }
}

/** The representations of one field, or of one of its columns. */
function settleColumns(ids: readonly number[], place: Place, build: Build): void {
  const known = build.settled.get(ids[0]!);
  if (known !== undefined) {
    if (known.inside !== place.inside || known.each !== place.each) throw damaged('it shows a column of another place');
    return;
  }
  build.settled.set(ids[0]!, place);
  for (let c = 0; c < build.clusters.length; c++) settleCluster(ids, c, place, build);
}

function settleCluster(ids: readonly number[], c: number, { inside, each }: Place, build: Build): void {
  const { columns, clusters, table } = build;
  const at = (id: number) => c * columns.length + id;
  const used = ids.filter((id) => table.present[at(id)] === 1);
  if (used.length > 1) throw damaged(`cluster ${c} has it in two representations`);
  const id = used[0] ?? ids[0]!;
  const { firstElement } = columns[id]!;
  if (used.length === 0 && firstElement === 0 && inside === undefined) throw damaged(`cluster ${c} does not have it`);
  table.present[at(id)] = 1;
  if (inside !== undefined) return; // no items before the column came: the index will be asked
  const { rowStart, rows } = clusters[c]!;
  const expected = rows * each;
  const elements = table.elements[at(id)]!;
  const lead = expected - elements;
  // only a column that came later may lack elements, all of them at the front
  const late = firstElement > 0 && lead > 0 && rowStart * each + lead <= firstElement;
  const sound = lead === 0 || (late && (elements === 0 || rowStart * each + lead === firstElement));
  if (!sound) throw damaged(`cluster ${c} has ${elements} elements of it, its entries need ${expected}`);
  if (expected > 2 ** 31 - 1) throw damaged(`cluster ${c} has ${expected} elements of it`);
  table.lead[at(id)] = lead;
  table.elements[at(id)] = expected;
}
