// Owns repetition and definition levels, and where pages end: built once for all columns of a collection.
// Flat columns and lists of one level have a path of their own; here are lists in lists, and strings.
// https://parquet.apache.org/docs/file-format/nestedencoding/
import type { Column, ListColumn } from '../../core/column.ts';
import { flatPaging, listPaging } from './direct-levels.ts';
import { bitWidth, hybridBytesMax, writeHybrid } from './hybrid.ts';
import { LENGTH_BYTES, PAGE_ENTRIES, type Page, type Paging } from './paging.ts';

/** Bytes of strings a page. */
const PAGE_STRING_BYTES = 1 << 20;

interface Levels {
  /** Absent when no list is there: every entry is a row. */
  readonly repetition?: Uint8Array;
  /** Absent when every entry has a value. */
  readonly definition?: Uint8Array;
  readonly entries: number;
  readonly repetitionMax: number;
  readonly definitionMax: number;
}

/** Identity of what levels are made from: `shape` holds offsets, the outermost list first. */
interface Cached {
  readonly shape: readonly Int32Array[];
  readonly valid: Uint8Array | undefined;
  readonly nullable: boolean;
  readonly paging: Paging;
}

/** Lives as long as one call of encode. */
export type PagingCache = Map<Int32Array | Uint8Array, Cached[]>;

export function pagingOf(column: Column, nullable: boolean, cache: PagingCache): Paging {
  const shape: Int32Array[] = [];
  let leaf = column;
  for (; leaf.kind === 'list'; leaf = leaf.items) shape.push(leaf.offsets);
  const { valid } = column;
  const key = shape[0] ?? valid;
  if (key === undefined || leaf.kind === 'utf8') return makePaging(column, leaf, nullable);
  const known = cache.get(key) ?? [];
  const hit = known.find(
    (entry) =>
      entry.valid === valid &&
      entry.nullable === nullable &&
      entry.shape.length === shape.length &&
      entry.shape.every((offsets, depth) => offsets === shape[depth]),
  );
  if (hit) return hit.paging;
  const paging = makePaging(column, leaf, nullable);
  cache.set(key, [...known, { shape, valid, nullable, paging }]);
  return paging;
}

function makePaging(column: Column, leaf: Column, nullable: boolean): Paging {
  if (column.kind === 'flat') return flatPaging(column.length, nullable, column.valid);
  if (column.kind === 'list' && column.items.kind === 'flat') {
    return listPaging(column.offsets, column.length, nullable, column.valid);
  }
  return paginate(levelsOf(column, nullable), leaf);
}

function levelsOf(column: Column, nullable: boolean): Levels {
  let levels: Levels = {
    entries: column.length,
    repetitionMax: 0,
    definitionMax: nullable ? 1 : 0,
    ...(nullable ? { definition: column.valid ?? new Uint8Array(column.length).fill(1) } : {}),
  };
  for (let at = column; at.kind === 'list'; at = at.items) levels = expand(levels, at);
  return levels;
}

/** Each entry that is present so far is a list: it becomes its items, or one entry if it is empty. */
function expand(outer: Levels, list: ListColumn): Levels {
  const { offsets, length } = list;
  let empty = 0;
  for (let i = 0; i < length; i++) if (offsets[i] === offsets[i + 1]) empty++;
  const entries = outer.entries - length + offsets[length]! + empty;
  const repetition = new Uint8Array(entries);
  const definition = new Uint8Array(entries);
  const present = outer.definitionMax;
  const depth = outer.repetitionMax + 1;
  // A null row has a slot in the offsets; a list that is empty has none in those of the lists inside.
  const rows = outer.repetition === undefined;
  let at = 0;
  let slot = 0;
  for (let i = 0; i < outer.entries; i++) {
    const level = outer.repetition?.[i] ?? 0;
    const defined = outer.definition?.[i] ?? present;
    let count = 0;
    if (defined === present) {
      count = offsets[slot + 1]! - offsets[slot]!;
      slot++;
    } else if (rows) slot++;
    repetition[at] = level;
    if (count === 0) {
      definition[at++] = defined;
      continue;
    }
    definition[at++] = present + 1;
    for (let item = 1; item < count; item++) {
      repetition[at] = depth;
      definition[at++] = present + 1;
    }
  }
  return { repetition, definition, entries: at, repetitionMax: depth, definitionMax: present + 1 };
}

function paginate(levels: Levels, leaf: Column): Paging {
  const ends = pageEnds(levels, leaf.kind === 'utf8' ? leaf.offsets : undefined);
  let start = 0;
  let valueStart = 0;
  const pages = ends.map(({ entryEnd, valueEnd }): Page => {
    const page = { entries: entryEnd - start, valueStart, valueEnd, levels: writeLevels(levels, start, entryEnd) };
    start = entryEnd;
    valueStart = valueEnd;
    return page;
  });
  return { pages, entries: levels.entries, absent: levels.entries - valueStart };
}

interface PageEnd {
  readonly entryEnd: number;
  readonly valueEnd: number;
}

/** A page ends at the first row that starts when it is full. `strings`: offsets of the leaf, whose bytes count too. */
function pageEnds({ repetition, definition, entries, definitionMax }: Levels, strings?: Int32Array): PageEnd[] {
  const ends: PageEnd[] = [];
  if (definition === undefined && strings === undefined) {
    for (let end = PAGE_ENTRIES; end < entries; end += PAGE_ENTRIES) ends.push({ entryEnd: end, valueEnd: end });
    if (entries > 0) ends.push({ entryEnd: entries, valueEnd: entries });
    return ends;
  }
  let start = 0;
  let values = 0;
  let slot = 0;
  let slotStart = 0;
  for (let i = 0; i < entries; i++) {
    if (i > start && (repetition === undefined || repetition[i] === 0)) {
      const full = i - start >= PAGE_ENTRIES;
      if (full || (strings !== undefined && strings[slot]! - strings[slotStart]! >= PAGE_STRING_BYTES)) {
        ends.push({ entryEnd: i, valueEnd: values });
        start = i;
        slotStart = slot;
      }
    }
    const present = definition === undefined || definition[i] === definitionMax;
    if (present) values++;
    // A null row of a flat column has a slot in its arrays, an empty list has none in its items.
    if (present || repetition === undefined) slot++;
  }
  if (entries > 0) ends.push({ entryEnd: entries, valueEnd: values });
  return ends;
}

function writeLevels(levels: Levels, start: number, end: number): Uint8Array {
  const { repetition, definition, repetitionMax, definitionMax } = levels;
  const parts: Uint8Array[] = [];
  if (repetition) parts.push(withLength(repetition, start, end, bitWidth(repetitionMax)));
  if (definition) parts.push(withLength(definition, start, end, bitWidth(definitionMax)));
  if (parts.length === 0) return new Uint8Array(0);
  return Uint8Array.from(Buffer.concat(parts));
}

function withLength(values: Uint8Array, start: number, end: number, width: number): Uint8Array {
  const out = new Uint8Array(LENGTH_BYTES + hybridBytesMax(end - start, width));
  const at = writeHybrid(values, { start, end }, width, out, LENGTH_BYTES);
  new DataView(out.buffer).setUint32(0, at - LENGTH_BYTES, true);
  return out.subarray(0, at);
}
