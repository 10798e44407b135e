// Owns what we use of parquetjs-lite, and its schema for ours. The package is external to the bundle and looked for at run time.
import { ColweaveError } from '../../core/errors.ts';
import type { Field, Schema } from '../../core/schema.ts';
import type { SinkOptions } from '../types.ts';

export interface Library {
  readonly ParquetSchema: new (fields: Record<string, unknown>) => object;
  readonly ParquetEnvelopeWriter: new (
    schema: object,
    write: (bytes: Uint8Array) => void,
    close: () => void,
    offset: number,
    options: object,
  ) => Envelope;
  readonly ParquetWriter: new (schema: object, envelope: Envelope, options: object) => RowWriter;
}

export interface Envelope {
  readonly rowGroups: readonly {
    readonly columns: readonly {
      readonly meta_data: { readonly data_page_offset: number; readonly total_compressed_size: number };
    }[];
  }[];
}

export interface RowWriter {
  setRowGroupSize(rows: number): void;
  setMetadata(key: string, value: string): void;
  appendRow(row: Readonly<Record<string, unknown>>): Promise<void>;
  close(): Promise<void>;
}

export async function loadLibrary(): Promise<Library> {
  const name = 'parquetjs-lite';
  try {
    const module = (await import(name)) as { readonly default: Library };
    return module.default;
  } catch (cause) {
    throw new ColweaveError('sink/cannot-write-type', `the package ${name} is not there`, {
      hint: `npm install ${name}@0.8.7, or use the default writer`,
      cause,
    });
  }
}

const TYPES = {
  bool: 'BOOLEAN',
  i8: 'INT_8',
  u8: 'UINT_8',
  i16: 'INT_16',
  u16: 'UINT_16',
  i32: 'INT32',
  u32: 'UINT_32',
  i64: 'INT64',
  u64: 'UINT_64',
  f32: 'FLOAT',
  f64: 'DOUBLE',
} as const;

/** Lists as the three levels of the standard; left alone, the library would write a bare repeated field. */
export function librarySchema(schema: Schema, options: SinkOptions): Record<string, unknown> {
  const compression = options.compression === 'snappy' ? 'SNAPPY' : 'UNCOMPRESSED';
  return Object.fromEntries(schema.fields.map((field) => [field.name, libraryField(field, compression)]));
}

function libraryField({ type, nullable }: Field, compression: string): object {
  const leaf = type.kind === 'list' ? type.item : type;
  const name = leaf.kind === 'flat' ? TYPES[leaf.dtype] : 'UTF8';
  const described = { type: name, compression, statistics: false };
  if (type.kind !== 'list') return { ...described, optional: nullable };
  return { type: 'LIST', fields: { list: { repeated: true, fields: { element: described } } } };
}
