// Owns writing scores: key columns and predictions through the sink, sealed, with the receipt that says who made them.
import type { Column } from '../core/column.ts';
import { flatColumn } from '../core/column.ts';
import { allocate } from '../core/dtype.ts';
import type { KeySpec, KeyTable } from '../core/key-spec.ts';
import { RECEIPT_FORMAT, RECEIPT_KEY, type Receipt, type ReceiptColumn, receiptText } from '../core/receipt.ts';
import { type Field, fieldNamed, type Schema, typeName } from '../core/schema.ts';
import {
  addSeals,
  keyStates,
  NO_SEAL,
  type Seal,
  sealColumn,
  sealHex,
  sealKeys,
  sealOrder,
  sealScope,
} from '../core/seal.ts';
import { fileName } from '../core/text.ts';
import { wordsToValues } from '../join/block.ts';
import { countLumis, type LumiCounts, lumiRanges } from '../join/lumis.ts';
import { keyColumnName } from '../keys/spec.ts';
import type { Sink, SinkFormat, SinkOptions } from '../sink/types.ts';
import type { DatasetDescriptor } from '../source/dataset.ts';
import { TOOL } from './version.ts';

/** The key's columns under the names and types that the source has them in. */
export function keyFields(key: KeySpec, schema: Schema): readonly Field[] {
  return key.columns.map((column) => {
    const from = keyColumnName(schema, column.name)!;
    const { counter: _, ...field } = fieldNamed(schema, from)!;
    return { ...field, nullable: false };
  });
}

function keyColumns(keys: KeyTable, fields: readonly Field[]): Column[] {
  let lane = 0;
  return keys.spec.columns.map(({ words }, i) => {
    const { type } = fields[i]!;
    if (type.kind !== 'flat') throw new Error('a key column is flat');
    const values = allocate(type.dtype, keys.rows);
    wordsToValues(keys, lane, words, values);
    lane += words;
    return flatColumn(type.dtype, values);
  });
}

export interface ScoreWriter {
  /** One row group: events in order. */
  append(keys: KeyTable, scores: readonly Column[]): Promise<void>;
  /** Writes the footer with the receipt; nothing is published before `commit`. */
  finish(context: ReceiptFacts): Promise<Receipt>;
  commit(): Promise<void>;
  abort(): Promise<void>;
  readonly bytes: number;
  readonly rowGroups: number;
}

/** What the receipt says besides what was written. */
export interface ReceiptFacts {
  readonly source: DatasetDescriptor;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly policies: Readonly<Record<string, unknown>>;
}

export interface WriterOptions {
  readonly target: string;
  readonly key: KeySpec;
  readonly schema: Schema;
  readonly scores: readonly Field[];
  readonly sink: SinkOptions;
  readonly force: boolean;
}

/** Errors: output/exists, output/not-writable, output/disk-full. */
export async function openScores(format: SinkFormat<unknown>, options: WriterOptions): Promise<ScoreWriter> {
  const keys = keyFields(options.key, options.schema);
  const fields = [...keys, ...options.scores];
  const sink = await format.open(options.target, { fields }, { ...options.sink, force: options.force });
  const totals: Totals = {
    rows: 0,
    keys: NO_SEAL,
    order: NO_SEAL,
    columns: fields.map(() => NO_SEAL),
    lumis: new Map(),
  };
  return {
    append: async (table, scores) => {
      const columns = [...keyColumns(table, keys), ...scores];
      addSealsOf(totals, table, columns);
      await sink.append(table.rows, await format.encode(fields, columns, options.sink));
    },
    finish: async (facts) => {
      const receipt = receiptOf({ fields, keys: keys.length, totals, sink }, facts);
      await sink.finish({ [RECEIPT_KEY]: receiptText(receipt) });
      return receipt;
    },
    commit: () => sink.commit(),
    abort: () => sink.abort(),
    get bytes() {
      return sink.fingerprint().bytes;
    },
    get rowGroups() {
      return sink.fingerprint().rowGroups.length;
    },
  };
}

interface Totals {
  rows: number;
  keys: Seal;
  order: Seal;
  readonly columns: Seal[];
  readonly lumis: LumiCounts;
}

function addSealsOf(totals: Totals, table: KeyTable, columns: readonly Column[]): void {
  const states = keyStates(table, 0, table.rows);
  const scope = sealScope(states);
  columns.forEach((column, i) => {
    totals.columns[i] = addSeals(totals.columns[i]!, sealColumn(column, scope));
  });
  totals.keys = addSeals(totals.keys, sealKeys(states));
  totals.order = addSeals(totals.order, sealOrder(states, totals.rows));
  countLumis(totals.lumis, table);
  totals.rows += table.rows;
}

interface Written {
  readonly fields: readonly Field[];
  /** The first of them are the key's. */
  readonly keys: number;
  readonly totals: Totals;
  readonly sink: Sink<unknown>;
}

function receiptOf({ fields, keys, totals, sink }: Written, { source, spec, policies }: ReceiptFacts): Receipt {
  const columns = fields.map(({ name, type }, i): ReceiptColumn => {
    const seal = totals.columns[i]!;
    return { name, type: typeName(type), present: seal.present, seal: sealHex(seal) };
  });
  const lumis = lumiRanges(totals.lumis);
  return {
    format: RECEIPT_FORMAT,
    tool: TOOL,
    spec,
    sources: [
      {
        label: source.label,
        files: source.files.map(({ descriptor: { uri, identity, rows } }) => ({ name: fileName(uri), identity, rows })),
        rows: source.rows,
        keySeal: sealHex(totals.keys),
        matched: totals.rows,
        unmatched: source.rows - totals.rows,
        duplicates: 0,
        // scores are made, not moved: only the key is the source's
        columns: columns.slice(0, keys),
        dropped: [],
      },
    ],
    output: {
      rows: totals.rows,
      keySeal: sealHex(totals.keys),
      order: sealHex(totals.order),
      columns,
      rowGroups: sink.fingerprint().rowGroups,
    },
    lumis: { in: lumis, out: lumis },
    witness: [],
    policies,
  };
}
