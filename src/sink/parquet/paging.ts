// Owns what a page is: where it ends, which values it holds, and its levels as bytes.

/** Values a page: 1 MiB of f32. Pages of one collection end at the same rows whatever their types, so that levels are shared. */
export const PAGE_ENTRIES = 1 << 18;
/** In front of each kind of levels: how many bytes they are. */
export const LENGTH_BYTES = 4;

export interface Page {
  /** Rows, items of lists, empty and null lists: what the page header calls values. */
  readonly entries: number;
  /** The present leaf values of the page, as an index range into those of the chunk. */
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Repetition levels, then definition levels, each with its length in front. */
  readonly levels: Uint8Array;
}

export interface Paging {
  readonly pages: readonly Page[];
  readonly entries: number;
  /** Entries without a leaf value: null rows, and null or empty lists. */
  readonly absent: number;
}
