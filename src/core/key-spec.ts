// Owns what a key is: its columns, how many 32-bit words each one fills, and the table of key words.

export interface KeyColumn {
  readonly name: string;
  /** Words stored a row: 1 for a column known to fit 32 bits, else 2 (low, high). */
  readonly words: 1 | 2;
}

export interface KeySpec {
  /** `cms`, `atlas`, or the columns joined by commas. */
  readonly name: string;
  readonly columns: readonly KeyColumn[];
}

/** Rows of key words, row-major: canonical unsigned values whatever the storage type of the file was. */
export interface KeyTable {
  readonly spec: KeySpec;
  readonly rows: number;
  readonly stride: number;
  readonly words: Uint32Array;
}

export function keyStride(spec: KeySpec): number {
  return spec.columns.reduce((sum, column) => sum + column.words, 0);
}

/** Three columns of one, one and two words, as run, luminosityBlock and event are: there are faster loops for them. */
export function isLikeCms({ columns }: KeySpec): boolean {
  return columns.map(({ words }) => words).join() === '1,1,2';
}

/** The values of one row's key, in column order. */
export function keyValues(table: KeyTable, row: number): bigint[] {
  let at = row * table.stride;
  return table.spec.columns.map(({ words }) => {
    const low = BigInt(table.words[at]!);
    const high = words === 2 ? BigInt(table.words[at + 1]!) : 0n;
    at += words;
    return (high << 32n) | low;
  });
}

/** `run 1, luminosityBlock 2, event 3`: how messages name an event. */
export function keyText(table: KeyTable, row: number): string {
  const values = keyValues(table, row);
  return table.spec.columns.map((column, i) => `${column.name} ${values[i]}`).join(', ');
}
