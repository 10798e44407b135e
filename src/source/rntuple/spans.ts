// Owns spans: elements of a column by cluster.

/** Elements from .. to (exclusive) of a cluster. */
export interface Span {
  readonly cluster: number;
  readonly from: number;
  readonly to: number;
}

export function spansItems(spans: readonly Span[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}
