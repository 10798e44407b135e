// Owns the sink `parquet`, the default: our own column writer (see architecture.md, "Decisions already paid for").
import { createHash } from 'node:crypto';
import { invariant } from '../core/check.ts';
import { type Column, emptyColumn } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import { ARROW_SCHEMA_KEY } from '../core/parquet-format.ts';
import type { Field, Schema } from '../core/schema.ts';
import { arrowSchemaBase64 } from './arrow-schema.ts';
import { type EncodedChunk, encodeColumn } from './parquet/column-chunk.ts';
import { footerBytes, magicBytes, type PlacedChunk, type RowGroup } from './parquet/footer.ts';
import { codecOf, compressorOf } from './parquet/page.ts';
import { openPartFile, type PartFile } from './part-file.ts';
import type { Fingerprint, Sink, SinkFormat, SinkOptions } from './types.ts';

/** A file of no rows has one row group, as pyarrow writes it: awkward reads no file without. */
const EMPTY_GROUP = { rows: 0, sha256: createHash('sha256').digest('hex') };

export const parquet: SinkFormat<EncodedChunk> = {
  name: 'parquet',
  keepsColumns: false,
  check: checkSchema,
  encode: async (fields, columns, options) => encode(fields, columns, options),
  async open(target, schema, options) {
    checkSchema(schema);
    return parquetSink(await openPartFile(target, options), schema, options);
  },
};

/** Any type there is can be written; names must tell the columns apart. */
function checkSchema(schema: Schema): void {
  const seen = new Set<string>();
  for (const { name } of schema.fields) {
    if (name === '') throw new ColweaveError('sink/cannot-write-type', 'a column without a name cannot be written');
    if (seen.has(name)) throw new ColweaveError('sink/cannot-write-type', `two columns are called "${name}"`);
    seen.add(name);
  }
  if (seen.size === 0) throw new ColweaveError('sink/cannot-write-type', 'there is no column to write');
}

function encode(fields: readonly Field[], columns: readonly Column[], options: SinkOptions): readonly EncodedChunk[] {
  invariant(fields.length === columns.length, 'a column for each field');
  const scope = { compressor: compressorOf(options), paging: new Map() };
  return fields.map((field, index) => encodeColumn(field, columns[index]!, scope));
}

function emptyGroup({ fields }: Schema, options: SinkOptions): readonly EncodedChunk[] {
  return encode(
    fields,
    fields.map(({ type }) => emptyColumn(type)),
    options,
  );
}

async function parquetSink(part: PartFile, schema: Schema, options: SinkOptions): Promise<Sink<EncodedChunk>> {
  const rowGroups: RowGroup[] = [];
  const hashes: { rows: number; sha256: string }[] = [];
  await part.write(magicBytes());

  const place = async (rows: number, encoded: readonly EncodedChunk[]) => {
    const hash = createHash('sha256');
    const chunks: PlacedChunk[] = [];
    for (const chunk of encoded) {
      chunks.push({ ...chunk, start: part.position, bytes: chunk.bytes.length });
      hash.update(chunk.bytes);
      await part.write(chunk.bytes, true);
    }
    rowGroups.push({ rows, chunks });
    hashes.push({ rows, sha256: hash.digest('hex') });
  };

  return {
    async append(rows, encoded) {
      invariant(encoded.length === schema.fields.length, 'a chunk for each field');
      if (rows > 0) await place(rows, encoded);
    },
    fingerprint(): Fingerprint {
      return { bytes: part.position, rowGroups: hashes.length === 0 ? [EMPTY_GROUP] : hashes };
    },
    async finish(metadata) {
      if (rowGroups.length === 0) await place(0, emptyGroup(schema, options));
      const keyValues = { [ARROW_SCHEMA_KEY]: arrowSchemaBase64(schema), ...metadata };
      await part.write(footerBytes({ schema, codec: codecOf(options), rowGroups, keyValues }));
      await part.finish();
    },
    commit: () => part.commit(),
    abort: () => part.abort(),
  };
}
