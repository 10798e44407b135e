// Owns the column chunk: pages of one column of one row group, as bytes that can be put anywhere in a file.
import { invariant } from '../../core/check.ts';
import type { Column, FlatColumn, Utf8Column } from '../../core/column.ts';
import { bytesOf, type Values } from '../../core/dtype.ts';
import { Encoding } from '../../core/parquet-format.ts';
import type { Field } from '../../core/schema.ts';
import { chooseEncoder } from './choose.ts';
import { type PagingCache, pagingOf } from './levels.ts';
import { type Compressor, dataPage, dictionaryPage, type PageBytes } from './page.ts';
import type { Paging } from './paging.ts';
import { scratchBytes } from './scratch.ts';
import { type Bounds, boundsOf } from './statistics.ts';
import { compactValues, utf8Encoder, type ValueEncoder } from './values.ts';

export interface EncodedChunk {
  readonly bytes: Uint8Array;
  /** Headers and bodies before compression. */
  readonly rawBytes: number;
  /** Values, nulls and empty lists: `num_values`. */
  readonly entries: number;
  /** Absent for lists, where it would mix nulls with empty lists. */
  readonly nulls?: number;
  readonly bounds?: Bounds;
  readonly encodings: readonly Encoding[];
  /** The dictionary page comes first, if any. */
  readonly dictionaryPageBytes: number;
}

/** What the columns of one call of encode share. */
export interface EncodeScope {
  readonly compressor: Compressor;
  readonly paging: PagingCache;
}

/** A page before compression, and all pages of a chunk after it. */
const pageScratch = scratchBytes();
const bodyScratch = scratchBytes();

export function encodeColumn(field: Field, column: Column, scope: EncodeScope): EncodedChunk {
  checkNulls(field, column);
  const paging = pagingOf(column, field.nullable, scope.paging);
  const leaf = leafOf(column);
  const present = leaf.kind === 'flat' ? presentValues(leaf) : undefined;
  const encoder = leaf.kind === 'flat' ? chooseEncoder(leaf.dtype, present!, scope.compressor) : utf8Encoder(leaf);
  const { dictionary } = encoder;
  const pages = encodePages(paging, encoder, scope.compressor);
  const dictionaryPageBytes = dictionary ? pageBytes(pages[0]!) : 0;
  const bounds = column.kind === 'flat' ? boundsOf(column.dtype, dictionary ?? present!) : undefined;
  return {
    bytes: joined(pages),
    rawBytes: pages.reduce((sum, page) => sum + page.rawBytes, 0),
    entries: paging.entries,
    ...(column.kind === 'list' ? {} : { nulls: paging.absent }),
    ...(bounds ? { bounds } : {}),
    encodings: encodingsOf(encoder),
    dictionaryPageBytes,
  };
}

function checkNulls(field: Field, column: Column): void {
  invariant(column.valid === undefined || field.nullable, `${field.name}: nulls in a column declared without`);
  for (let at = column; at.kind === 'list'; at = at.items) {
    invariant(at.items.valid === undefined, `${field.name}: lists with null items are refused where they are read`);
  }
}

function leafOf(column: Column): FlatColumn | Utf8Column {
  let leaf = column;
  while (leaf.kind === 'list') leaf = leaf.items;
  return leaf;
}

function presentValues(leaf: FlatColumn): Values {
  return leaf.valid === undefined ? leaf.values : compactValues(leaf.dtype, leaf.values, leaf.valid);
}

/** The dictionary's page, if any, and those of the data: their bodies are in the scratch, one after the other. */
function encodePages(paging: Paging, encoder: ValueEncoder, compressor: Compressor): PageBytes[] {
  const { dictionary } = encoder;
  const sizes = paging.pages.map(
    ({ valueStart, valueEnd, levels }) => levels.length + encoder.bytesMax(valueStart, valueEnd),
  );
  const bodies = bodyScratch.bytes(
    [...sizes, dictionary?.byteLength ?? 0].reduce((sum, size) => sum + compressor.bytesMax(size), 0),
  );
  let at = 0;
  const done = (page: PageBytes) => {
    at += page.body.length;
    return page;
  };
  const first = dictionary && done(dictionaryPage(dictionary.length, bytesOf(dictionary), compressor, bodies));
  const data = paging.pages.map(({ entries, valueStart, valueEnd, levels }, i) => {
    const scratch = pageScratch.bytes(sizes[i]!);
    scratch.set(levels);
    const end = encoder.write(valueStart, valueEnd, scratch, levels.length);
    const { encoding } = encoder;
    return done(dataPage({ entries, encoding }, scratch.subarray(0, end), compressor, bodies.subarray(at)));
  });
  return first === undefined ? data : [first, ...data];
}

function encodingsOf(encoder: ValueEncoder): Encoding[] {
  const used = new Set<Encoding>([encoder.encoding, Encoding.RLE]);
  if (encoder.dictionary) used.add(Encoding.PLAIN);
  return [...used].sort((left, right) => left - right);
}

function pageBytes({ header, body }: PageBytes): number {
  return header.length + body.length;
}

function joined(pages: readonly PageBytes[]): Uint8Array {
  const bytes = new Uint8Array(pages.reduce((sum, page) => sum + pageBytes(page), 0));
  let at = 0;
  for (const { header, body } of pages) {
    bytes.set(header, at);
    bytes.set(body, at + header.length);
    at += header.length + body.length;
  }
  return bytes;
}
