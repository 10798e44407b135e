// Sources and sinks in memory behind the real seams, so that properties of the join are tested without files.
import type { Column } from '../../src/core/column.ts';
import { columnBytes, concatColumns, sliceColumn } from '../../src/core/column.ts';
import type { Field, Schema } from '../../src/core/schema.ts';
import type { SinkFormat } from '../../src/sink/types.ts';
import type { Dataset } from '../../src/source/dataset.ts';
import type { SourceFile } from '../../src/source/types.ts';

export interface MemoryFile {
  readonly columns: Readonly<Record<string, Column>>;
  readonly rows: number;
}

export function memoryDataset(label: string, schema: Schema, files: readonly MemoryFile[]): Dataset {
  let firstRow = 0;
  const opened = files.map((file, i) => memoryFile(`${label}${i}.root`, schema, file));
  const placed = opened.map(({ descriptor }) => {
    const at = firstRow;
    firstRow += descriptor.rows;
    return { descriptor, firstRow: at };
  });
  return {
    descriptor: { label, schema, rows: firstRow, files: placed, absentFalse: [] },
    files: opened,
    unreadable: [],
    redundant: [],
  };
}

function memoryFile(uri: string, schema: Schema, { columns, rows }: MemoryFile): SourceFile {
  return {
    descriptor: {
      format: 'memory',
      uri,
      rows,
      schema,
      identity: { size: rows, id: uri, entries: rows },
      layout: null,
    },
    unreadable: [],
    redundant: [],
    bytesOf: (names) => names.reduce((sum, name) => sum + columnBytes(columns[name]!), 0),
    rawBytesOf: (names) => names.reduce((sum, name) => sum + columnBytes(columns[name]!), 0),
    read: async (names, start, end) => {
      const shared = new Map<Int32Array, Int32Array>();
      return names.map((name) => {
        const column = sliceColumn(columns[name]!, start, end);
        if (column.kind === 'flat') return column;
        const whole = (columns[name] as Exclude<Column, { kind: 'flat' }>).offsets;
        const known = shared.get(whole) ?? column.offsets;
        shared.set(whole, known);
        return { ...column, offsets: known };
      });
    },
    close: async () => {},
  };
}

export interface Written {
  readonly path: string;
  readonly fields: readonly Field[];
  readonly columns: readonly Column[];
  readonly groups: readonly number[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Keeps what was appended; `onFinish` gets each output with its row groups put together. */
export function memorySink(onFinish: (written: Written) => void): SinkFormat<Column> {
  return {
    name: 'memory',
    keepsColumns: false,
    check: () => {},
    encode: async (_fields, columns) => columns.map(copied),
    open: async (path, schema) => {
      const parts: Column[][] = schema.fields.map(() => []);
      const groups: number[] = [];
      return {
        append: async (rows, encoded) => {
          groups.push(rows);
          encoded.forEach((column, c) => {
            parts[c]!.push(column);
          });
        },
        fingerprint: () => ({ bytes: 0, rowGroups: groups.map((rows) => ({ rows, sha256: '' })) }),
        finish: async (metadata) => {
          const columns = schema.fields.map((field, c) => concatColumns(field.type, parts[c]!));
          onFinish({ path, fields: schema.fields, columns, groups, metadata });
        },
        commit: async () => {},
        abort: async () => {},
      };
    },
  };
}

/** The join may use a column's arrays again. */
function copied(column: Column): Column {
  const valid = column.valid?.slice();
  if (column.kind === 'flat') return { ...column, values: column.values.slice(), valid };
  if (column.kind === 'utf8') return { ...column, offsets: column.offsets.slice(), bytes: column.bytes.slice(), valid };
  return { ...column, offsets: column.offsets.slice(), items: copied(column.items), valid };
}
