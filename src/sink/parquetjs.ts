// Owns the sink `parquetjs`: parquetjs-lite, row by row, for what it writes right; a hundred times slower than `parquet`.
import { createHash } from 'node:crypto';
import { invariant } from '../core/check.ts';
import type { Column } from '../core/column.ts';
import { ARROW_SCHEMA_KEY } from '../core/parquet-format.ts';
import type { Schema } from '../core/schema.ts';
import { arrowSchemaBase64 } from './arrow-schema.ts';
import { type Library, librarySchema, loadLibrary } from './parquetjs/library.ts';
import { checkOptions, checkSchema, checkValues } from './parquetjs/limits.ts';
import { openPartFile, type PartFile } from './part-file.ts';
import type { Fingerprint, Sink, SinkFormat, SinkOptions } from './types.ts';

/** Rows a page; the library's own default. */
const PAGE_ROWS = 8192;

export const parquetjs: SinkFormat<Column> = {
  name: 'parquetjs',
  keepsColumns: true,
  check: checkSchema,
  encode: async (fields, columns, options) => {
    checkOptions(options);
    fields.forEach((field, index) => {
      checkValues(field, columns[index]!);
    });
    return columns;
  },
  async open(target, schema, options) {
    checkSchema(schema);
    checkOptions(options);
    const library = await loadLibrary();
    return parquetjsSink(library, schema, options, await openPartFile(target, options));
  },
};

function parquetjsSink(library: Library, schema: Schema, options: SinkOptions, part: PartFile): Sink<Column> {
  const described = new library.ParquetSchema(librarySchema(schema, options));
  const written: Uint8Array[] = [];
  const settings = { pageSize: PAGE_ROWS, useDataPageV2: false, pageIndex: false };
  const push = (bytes: Uint8Array) => {
    written.push(bytes);
  };
  const envelope = new library.ParquetEnvelopeWriter(described, push, () => undefined, 0, settings);
  const writer = new library.ParquetWriter(described, envelope, settings);
  const groups: { rows: number; sha256: string }[] = [];
  const flush = async () => {
    for (const bytes of written.splice(0)) await part.write(bytes);
  };
  return {
    async append(rows, encoded) {
      if (rows === 0) return;
      await flush();
      const start = part.position;
      writer.setRowGroupSize(rows);
      const cells = schema.fields.map((field, index) => cellReader(encoded[index]!, field.name));
      for (let row = 0; row < rows; row++) {
        await writer.appendRow(Object.fromEntries(cells.map(({ name, at }) => [name, at(row)])));
      }
      const body = Buffer.concat(written);
      const hash = createHash('sha256');
      for (const { meta_data } of envelope.rowGroups.at(-1)!.columns) {
        const from = meta_data.data_page_offset - start;
        hash.update(body.subarray(from, from + meta_data.total_compressed_size));
      }
      groups.push({ rows, sha256: hash.digest('hex') });
      await flush();
    },
    fingerprint(): Fingerprint {
      return { bytes: part.position, rowGroups: groups };
    },
    async finish(metadata) {
      writer.setMetadata(ARROW_SCHEMA_KEY, arrowSchemaBase64(schema));
      for (const [key, value] of Object.entries(metadata)) writer.setMetadata(key, value);
      await writer.close();
      await flush();
      await part.finish();
    },
    commit: () => part.commit(),
    abort: () => part.abort(),
  };
}

interface CellReader {
  readonly name: string;
  readonly at: (row: number) => unknown;
}

function cellReader(column: Column, name: string): CellReader {
  const { valid } = column;
  const value = valueReader(column);
  return { name, at: valid === undefined ? value : (row) => (valid[row] === 0 ? null : value(row)) };
}

function valueReader(column: Column): (row: number) => unknown {
  switch (column.kind) {
    case 'flat': {
      const { values, dtype } = column;
      if (dtype === 'bool') return (row) => values[row] !== 0;
      if (dtype === 'i64' || dtype === 'u64') return (row) => Number(values[row]);
      return (row) => values[row];
    }
    case 'utf8': {
      const { bytes, offsets } = column;
      const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      return (row) => decoder.decode(bytes.subarray(offsets[row], offsets[row + 1]));
    }
    case 'list': {
      const { offsets, items } = column;
      invariant(items.kind !== 'list', 'lists of lists are refused by check');
      const element = valueReader(items);
      return (row) => {
        const list: { element: unknown }[] = [];
        for (let i = offsets[row]!; i < offsets[row + 1]!; i++) list.push({ element: element(i) });
        return { list };
      };
    }
  }
}
