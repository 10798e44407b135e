// Owns doing the levels of a collection once: the columns of one have the same level bytes, page by page, in most files.
import type { Leaf } from './schema.ts';

/** The decoded levels of one page, and what is counted in them. */
export interface PageLevels {
  readonly rep: Uint8Array | undefined;
  readonly def: Uint8Array | undefined;
  /** Values that are there, and rows that begin. */
  readonly present: number;
  readonly begun: number;
}

/** Offsets and validity of the lists of one level. */
export interface ListShape {
  readonly offsets: Int32Array;
  readonly valid: Uint8Array | undefined;
}

interface KnownPage {
  readonly bytes: Uint8Array;
  readonly levels: PageLevels;
}

interface KnownShape {
  readonly parts: readonly (Uint8Array | undefined)[];
  readonly start: number;
  readonly end: number;
  readonly shape: unknown;
}

/** Of one row group. What is found here is the same object, so that what was made from it is found again too. */
export interface LevelCache {
  readonly pages: Map<string, KnownPage[]>;
  readonly shapes: Map<Uint8Array, KnownShape[]>;
  /** Repetition levels that are kept: only of those may shapes be kept, or levels that no other column has would pile up. */
  readonly kept: Set<Uint8Array>;
  bytes: number;
}

/** Levels kept: those of the collections of a row group. */
const KEPT_BYTES_MAX = 32 * 2 ** 20;

export const noLevels = (): LevelCache => ({ pages: new Map(), shapes: new Map(), kept: new Set(), bytes: 0 });

export function forgetLevels(cache: LevelCache): void {
  cache.pages.clear();
  cache.shapes.clear();
  cache.kept.clear();
  cache.bytes = 0;
}

/** What `decode` gives, or gave for the same bytes of a page of as many entries and the same depths. */
export function pageLevels(
  cache: LevelCache,
  leaf: Leaf,
  { bytes, entries }: { readonly bytes: Uint8Array; readonly entries: number },
  decode: () => PageLevels,
): PageLevels {
  const id = `${entries} ${bytes.length} ${leaf.defMax} ${leaf.repeatedDefs.join()}`;
  const known = cache.pages.get(id) ?? [];
  const hit = known.find((page) => Buffer.compare(page.bytes, bytes) === 0);
  if (hit !== undefined) return hit.levels;
  const levels = decode();
  const cost = bytes.length + (levels.rep?.length ?? 0) + (levels.def?.length ?? 0);
  if (cache.bytes + cost > KEPT_BYTES_MAX) return levels;
  cache.bytes += cost;
  if (levels.rep !== undefined) cache.kept.add(levels.rep);
  known.push({ bytes: bytes.slice(), levels });
  cache.pages.set(id, known);
  return levels;
}

/** What `make` gives, or gave for the same level arrays, of which rows start .. end are wanted. */
export function shapeOnce<Shape>(
  { shapes, kept }: LevelCache,
  pages: readonly PageLevels[],
  { start, end }: { readonly start: number; readonly end: number },
  make: () => Shape,
): Shape {
  const parts = pages.flatMap(({ rep, def }) => [rep, def]);
  const lead = parts[0];
  if (lead === undefined || pages.some(({ rep }) => rep === undefined || !kept.has(rep))) return make();
  const known = shapes.get(lead) ?? [];
  const hit = known.find(
    (other) =>
      other.start === start &&
      other.end === end &&
      other.parts.length === parts.length &&
      other.parts.every((part, i) => part === parts[i]),
  );
  if (hit !== undefined) return hit.shape as Shape;
  const shape = make();
  shapes.set(lead, [...known, { parts, start, end, shape }]);
  return shape;
}
