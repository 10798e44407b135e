// Owns what the reader needs to know of an RNTuple: plain data that can be posted to a worker thread.
import type { Dtype } from '../../core/dtype.ts';

export interface RntupleLayout {
  /** Its name, with its directory. */
  readonly tree: string;
  /** Where the file's UUID is, so that a file put in place of this one is noticed; -1 in files without one. */
  readonly uuidOffset: number;
  readonly columns: readonly StoredColumn[];
  readonly clusters: ClusterTable;
  readonly chunks: ChunkTable;
  readonly pages: PageTable;
  /** By the name of the column that they give. */
  readonly nodes: readonly (readonly [name: string, node: Node])[];
}

/** How the values of one column of the file are stored. */
export interface StoredColumn {
  readonly type: number;
  readonly bits: number;
  /** Of quantized reals. */
  readonly min: number;
  readonly max: number;
}

/**
 * What makes a column of columns of the file. Each has one number a representation, of which just one is stored in a
 * cluster. Index columns hold, an element, where its items end, counting from the cluster's first item.
 */
export type Node = LeafNode | TextNode | ListNode | ArrayNode | OptionalNode | CountNode;

export interface LeafNode {
  readonly kind: 'leaf';
  readonly dtype: Dtype;
  readonly columns: readonly number[];
}
export interface TextNode {
  readonly kind: 'text';
  readonly index: readonly number[];
  readonly bytes: readonly number[];
}
export interface ListNode {
  readonly kind: 'list';
  readonly index: readonly number[];
  readonly item: Node;
}
/** Always `size` items, so nothing is stored of it. */
export interface ArrayNode {
  readonly kind: 'array';
  readonly size: number;
  readonly item: Node;
}
/** No item or one. */
export interface OptionalNode {
  readonly kind: 'optional';
  readonly index: readonly number[];
  readonly item: Node;
}
/** How many items an index column says. */
export interface CountNode {
  readonly kind: 'count';
  readonly dtype: 'u32' | 'u64';
  readonly index: readonly number[];
}

/** In row order, without gaps. */
export interface ClusterTable {
  readonly rowStart: Int32Array;
  /** Exclusive. */
  readonly rowEnd: Int32Array;
}

/** The part of a column in a cluster: chunk = cluster * columns + column. */
export interface ChunkTable {
  /** 0 where another representation of the field is used. */
  readonly present: Uint8Array;
  /** Pages pageStart[chunk] .. pageStart[chunk + 1] of the table. */
  readonly pageStart: Int32Array;
  /** Elements at the front that no page holds, since the column came later: zeros. */
  readonly lead: Int32Array;
  /** With those. */
  readonly elements: Int32Array;
}

export interface PageTable {
  readonly offset: Float64Array;
  /** As stored, without the checksum. */
  readonly bytes: Int32Array;
  /** Of its chunk, exclusive, without `lead`. */
  readonly elementEnd: Int32Array;
  /** 1: its checksum follows it. */
  readonly summed: Uint8Array;
}

/** The columns that a node is made of, each once, and in which it is counted first. */
export function columnsOf(node: Node): readonly number[] {
  switch (node.kind) {
    case 'leaf':
      return node.columns;
    case 'text':
      return [...node.index, ...node.bytes];
    case 'count':
      return node.index;
    case 'array':
      return columnsOf(node.item);
    case 'list':
    case 'optional':
      return [...node.index, ...columnsOf(node.item)];
  }
}

/** Bytes of a page out of compression. */
export function pageBytes(elements: number, bits: number): number {
  return Math.ceil((elements * bits) / 8);
}

/** The chunk of the representation that a cluster uses; -1: none. */
export function chunkOf(layout: RntupleLayout, columns: readonly number[], cluster: number): number {
  for (const column of columns) {
    const chunk = cluster * layout.columns.length + column;
    if (layout.chunks.present[chunk] === 1) return chunk;
  }
  return -1;
}
