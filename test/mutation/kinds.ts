// Owns the ways to corrupt an output at the level of values, and what verify must say of each.
import type { Column, FlatColumn, ListColumn } from '../../src/core/column.ts';
import { flat } from '../../src/core/schema.ts';
import { edit, exchanged, indexOf, rowsOf, type Table, take, takeRows } from './harness.ts';

/** What `verify OUT` says, and what `--against` adds. Rows are those of the corrupted file. */
export interface Expected {
  readonly codes: readonly string[];
  readonly columns?: readonly string[];
  readonly lumis?: readonly string[];
  /** The code of `--against`, with the entry of the first offender in the file it is in. */
  readonly against: readonly string[];
  readonly entry?: number;
}

export interface Kind {
  readonly name: string;
  readonly change: (table: Table) => void;
  readonly expected: Expected;
}

const differs = (name: string, entry: number): Expected => ({
  codes: ['verify/column-differs'],
  columns: [name],
  against: ['verify/value-differs'],
  entry,
});

function setValue(name: string, row: number, value: number | bigint): (table: Table) => void {
  return (table) =>
    edit(table, name, (column) => {
      const values = (column as FlatColumn).values as Float64Array;
      values[row] = value as number;
      return column;
    });
}

function setValid(name: string, row: number, valid: 0 | 1): (table: Table) => void {
  return (table) =>
    edit(table, name, (column) => {
      const bytes = column.valid ?? new Uint8Array(column.length).fill(1);
      bytes[row] = valid;
      return { ...column, valid: bytes } as Column;
    });
}

function changeList(name: string, change: (list: ListColumn) => Column): (table: Table) => void {
  return (table) => edit(table, name, (column) => change(column as ListColumn));
}

/** The boundary between row and row + 1 moves one item back; the items stay where they are. */
function shiftBoundary(list: ListColumn, row: number): Column {
  const offsets = list.offsets.slice();
  offsets[row + 1] = offsets[row + 1]! - 1;
  return { ...list, offsets };
}

function reverseItems(list: ListColumn, row: number): Column {
  const places = [...Array(list.items.length).keys()];
  const [start, end] = [list.offsets[row]!, list.offsets[row + 1]!];
  const turned = [...places.slice(0, start), ...places.slice(start, end).reverse(), ...places.slice(end)];
  return { ...list, items: take(list.items, turned) };
}

function exchangeColumns(one: string, two: string): (table: Table) => void {
  return (table) => {
    const [i, j] = [indexOf(table, one), indexOf(table, two)];
    const columns = [...table.columns];
    columns[i] = table.columns[j]!;
    columns[j] = table.columns[i]!;
    table.columns = columns;
  };
}

const swapRows = (name: string, i: number, j: number) => (table: Table) =>
  takeRows(table, exchanged(rowsOf(table), i, j), [name]);

/** Rows of fixtures: 4 and 5 have no event in `par`; 9 and 11 have jets; 177 is event 2^63. */
export const KINDS: readonly Kind[] = [
  { name: 'two rows of a float column exchanged', change: swapRows('MET_pt', 20, 21), expected: differs('MET_pt', 20) },
  { name: 'two rows of a bool column exchanged', change: swapBool, expected: differs('HLT_IsoMu24', -1) },
  { name: 'two rows of a list column exchanged', change: swapRows('Jet_pt', 9, 11), expected: differs('Jet_pt', 9) },
  { name: 'two rows of a text column exchanged', change: swapText, expected: differs('note', -1) },
  {
    name: 'a whole column moved down by one row',
    change: (table) => takeRows(table, [0, ...rowsOf(table).slice(0, -1)], ['genWeight']),
    expected: { ...differs('genWeight', -1) },
  },
  {
    name: 'a list boundary moved by one item',
    change: changeList('Muon_pt', (list) => shiftBoundary(list, longRow(list))),
    expected: differs('Muon_pt', -1),
  },
  {
    name: 'items of one list in another order',
    change: changeList('Jet_eta', (list) => reverseItems(list, 9)),
    expected: differs('Jet_eta', 9),
  },
  {
    name: 'one bit of one float',
    change: (table) =>
      edit(table, 'MET_phi', (column) => {
        const { values } = column as FlatColumn;
        new Uint32Array(values.buffer, values.byteOffset)[100]! ^= 1;
        return column;
      }),
    expected: differs('MET_phi', 100),
  },
  { name: '0 becomes -0', change: negateZero, expected: differs('odd_f8', -1) },
  { name: 'a missing value becomes 0', change: setValid('puWeight_par', 4, 1), expected: differs('puWeight_par', 4) },
  {
    name: 'a missing value becomes the one of the row before',
    change: (table) => {
      const rows = rowsOf(table);
      rows[4] = 3;
      takeRows(table, rows, ['Jet_btag_par']);
    },
    expected: differs('Jet_btag_par', 4),
  },
  { name: 'a value becomes null', change: setValid('category_par', 6, 0), expected: differs('category_par', 6) },
  {
    name: 'a flag of a missing event becomes present',
    change: setValue('par_missing', 4, 0),
    expected: {
      codes: ['verify/column-differs'],
      columns: ['par_missing'],
      against: ['verify/flag-differs'],
      entry: 4,
    },
  },
  {
    name: 'variations up and down exchanged',
    change: exchangeColumns('MET_pt_up', 'MET_pt_dn'),
    expected: {
      codes: ['verify/columns-exchanged'],
      columns: ['MET_pt_dn', 'MET_pt_up'],
      against: ['verify/value-differs'],
      entry: 0,
    },
  },
  {
    name: 'a friend put beside by position, one event late',
    change: (table) => {
      const names = table.fields.map(({ name }) => name).filter((name) => name.endsWith('_up'));
      takeRows(table, [...rowsOf(table).slice(1), 0], names);
    },
    expected: { codes: ['verify/column-differs'], columns: ['MET_pt_up'], against: ['verify/value-differs'], entry: 0 },
  },
  {
    name: 'a row dropped',
    change: (table) => takeRows(table, rowsOf(table).toSpliced(57, 1)),
    expected: { codes: ['verify/rows-lost'], lumis: ['316995:10'], against: ['verify/rows-lost'], entry: 57 },
  },
  {
    name: 'a row doubled',
    change: (table) => takeRows(table, rowsOf(table).toSpliced(57, 0, 57)),
    expected: { codes: ['verify/rows-doubled'], lumis: ['316995:10'], against: ['verify/rows-doubled'], entry: 58 },
  },
  {
    name: 'a row replaced by another one',
    change: (table) => takeRows(table, rowsOf(table).with(57, 2)),
    expected: { codes: ['verify/rows-doubled', 'verify/rows-lost'], against: ['verify/rows-lost'], entry: 57 },
  },
  {
    name: 'the low bit of an event number above 2^53',
    change: setValue('event', 177, 2n ** 63n + 1n),
    expected: {
      codes: ['verify/key-differs'],
      columns: ['run', 'luminosityBlock', 'event'],
      against: ['verify/rows-lost', 'verify/rows-foreign'],
    },
  },
  {
    name: 'an event in another lumi block',
    change: setValue('luminosityBlock', 50, 77),
    expected: {
      codes: ['verify/key-differs'],
      lumis: ['316995:10', '316995:77'],
      against: ['verify/rows-foreign'],
      entry: 50,
    },
  },
  {
    name: 'a column of another type',
    change: (table) => {
      const index = indexOf(table, 'nJet');
      const column = table.columns[index] as FlatColumn;
      table.fields[index] = { ...table.fields[index]!, type: flat('i32') };
      table.columns[index] = { ...column, dtype: 'i32', values: Int32Array.from(column.values as Uint32Array) };
    },
    expected: { codes: ['verify/schema-differs'], columns: ['nJet'], against: ['verify/schema-differs'] },
  },
  {
    name: 'a column gone',
    change: (table) => {
      const index = indexOf(table, 'PV_npvs');
      table.fields.splice(index, 1);
      table.columns.splice(index, 1);
    },
    expected: { codes: ['verify/schema-differs'], columns: ['PV_npvs'], against: ['verify/schema-differs'] },
  },
  {
    name: 'a column more',
    change: (table) => {
      table.fields.push({ name: 'bdt', type: flat('u8'), nullable: false });
      table.columns.push(table.columns[indexOf(table, 'PV_npvs')]!);
    },
    expected: { codes: ['verify/schema-differs'], columns: ['bdt'], against: ['verify/schema-differs'] },
  },
];

/** The first row with two muons or more. */
function longRow(list: ListColumn): number {
  const row = rowsTo(list.length).find((i) => list.offsets[i + 1]! - list.offsets[i]! > 1);
  if (row === undefined) throw new Error('no list of two');
  return row;
}

const rowsTo = (length: number): number[] => [...Array(length).keys()];

function swapBool(table: Table): void {
  const { values } = table.columns[indexOf(table, 'HLT_IsoMu24')] as FlatColumn;
  const bits = [...(values as Uint8Array)];
  swapRows('HLT_IsoMu24', bits.indexOf(0), bits.indexOf(1))(table);
}

function swapText(table: Table): void {
  const column = table.columns[indexOf(table, 'note')]!;
  if (column.kind !== 'utf8') throw new Error('note is text');
  const length = (i: number) => column.offsets[i + 1]! - column.offsets[i]!;
  const other = rowsTo(column.length).find((i) => length(i) !== length(0))!;
  swapRows('note', 0, other)(table);
}

function negateZero(table: Table): void {
  const { values } = table.columns[indexOf(table, 'odd_f8')] as FlatColumn;
  const row = [...(values as Float64Array)].findIndex((value) => Object.is(value, 0));
  setValue('odd_f8', row < 0 ? 0 : row, -0)(table);
}

/** Edits of the receipt, each with a word that the finding must hold. */
export interface ReceiptEdit {
  readonly name: string;
  readonly change: (receipt: Loose) => void;
  readonly codes: readonly string[];
  readonly says: string;
}
/** A receipt that may be written to. */
export interface Loose {
  sha256?: string;
  format: string;
  sources: {
    rows: number;
    matched: number;
    files: { rows: number }[];
    columns: { name: string; seal: string; type: string; present: number }[];
  }[];
  output: {
    rows: number;
    keySeal: string;
    order?: string;
    columns: { name: string; seal: string; type: string; present: number }[];
    rowGroups: { rows: number; sha256: string }[];
  };
  lumis: { out: [string, [number, number, number][]][] };
}

const other = (seal: string): string => (seal.startsWith('0') ? '1' : '0') + seal.slice(1);
const columnIn = (columns: Loose['output']['columns'], name: string) => columns.find((column) => column.name === name)!;

export const RECEIPT_EDITS: readonly ReceiptEdit[] = [
  {
    name: 'the seal of an output column',
    change: ({ output }) => {
      const column = columnIn(output.columns, 'MET_pt');
      column.seal = other(column.seal);
    },
    codes: ['verify/receipt-edited', 'verify/column-differs'],
    says: 'MET_pt',
  },
  {
    name: 'the seal of a column, in source and output alike',
    change: ({ output, sources }) => {
      for (const columns of [output.columns, sources[0]!.columns]) {
        const column = columnIn(columns, 'MET_pt');
        column.seal = `f${column.seal.slice(1)}`;
      }
    },
    codes: ['verify/column-differs'],
    says: 'MET_pt',
  },
  {
    name: 'the number of output rows',
    change: ({ output }) => {
      output.rows += 1;
    },
    codes: ['verify/receipt-edited', 'verify/rows-lost'],
    says: '301 rows',
  },
  {
    name: 'the matched rows of a source',
    change: ({ sources }) => {
      sources[3]!.matched += 1;
    },
    codes: ['verify/receipt-edited'],
    says: 'source par',
  },
  {
    name: 'the rows of a source file',
    change: ({ sources }) => {
      sources[0]!.files[1]!.rows -= 1;
    },
    codes: ['verify/receipt-edited'],
    says: 'nano_2.root',
  },
  {
    name: 'the values of a column',
    change: ({ output, sources }) => {
      columnIn(output.columns, 'score_par').present += 1;
      columnIn(sources[3]!.columns, 'score_par').present += 1;
    },
    codes: ['verify/column-differs'],
    says: 'score_par',
  },
  {
    name: 'the key seal',
    change: ({ output }) => {
      output.keySeal = other(output.keySeal);
    },
    codes: ['verify/receipt-edited', 'verify/key-differs'],
    says: 'key seal',
  },
  {
    name: 'the hash of a row group',
    change: ({ output }) => {
      output.rowGroups[0]!.sha256 = other(output.rowGroups[0]!.sha256);
    },
    codes: ['verify/rewritten'],
    says: 'written again',
  },
  {
    name: 'the lumi table',
    change: ({ lumis }) => {
      lumis.out[0]![1][0]![2] += 1;
    },
    codes: ['verify/receipt-edited'],
    says: 'lumi table',
  },
  {
    name: 'the format',
    change: (receipt) => {
      receipt.format = 'receipt/0';
    },
    codes: ['verify/receipt-edited'],
    says: 'format',
  },
  {
    name: 'a number that is text',
    change: ({ output }) => {
      (output as { rows: unknown }).rows = '300';
    },
    codes: ['verify/receipt-edited'],
    says: 'output.rows',
  },
];
