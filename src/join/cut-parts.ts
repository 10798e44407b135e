// Owns how the rows of an output directory are cut into files: one a primary file, or of a number of events or a size.
import { fileName } from '../core/text.ts';
import type { Matching, RowMap } from './match.ts';
import type { OutPart } from './plan.ts';

export interface PartSize {
  readonly events?: number;
  /** Bytes of a part before encoding and compression, by metadata. */
  readonly bytes?: number;
}

interface Cutting extends PartSize {
  readonly rowGroupRows: number;
  readonly rowBytes: number;
}

interface CutSource {
  readonly label: string;
  readonly descriptor: {
    readonly rows: number;
    readonly files: readonly { readonly descriptor: { readonly uri: string }; readonly firstRow: number }[];
  };
}

/** The primary's parts, in order, then those of the rows that only one source has. */
export function cutParts(sources: readonly CutSource[], { maps, rowsOut }: Matching, cutting: Cutting): OutPart[] {
  const [own] = maps;
  const { rows } = sources[0]!.descriptor;
  const rowsOfPrimary = own === undefined ? rows : ownRows(own);
  const partRows = rowsPerPart(cutting);
  const parts =
    partRows === undefined
      ? perPrimaryFile(sources[0]!, own, rowsOfPrimary)
      : cut({ source: 0, map: own, start: 0, end: rowsOfPrimary, sourceRows: rows }, partRows, partName);
  let at = rowsOfPrimary;
  sources.slice(1).forEach((source, i) => {
    const map = maps[i + 1];
    let end = at;
    while (end < rowsOut && (map === undefined || map[end]! >= 0) && ownerBefore(maps, i + 1, end)) end++;
    if (end > at) {
      const stretch = { source: i + 1, map, start: at, end, sourceRows: source.descriptor.rows };
      parts.push(...cut(stretch, partRows ?? end - at, (index, count) => onlyName(source.label, index, count)));
    }
    at = end;
  });
  return parts;
}

/** A number of bytes gives whole row groups where it holds any; undefined = parts follow the primary's files. */
function rowsPerPart({ events, bytes, rowGroupRows, rowBytes }: Cutting): number | undefined {
  if (events !== undefined) return events;
  if (bytes === undefined) return undefined;
  const rows = Math.max(1, Math.floor(bytes / Math.max(1, rowBytes)));
  return rows < rowGroupRows ? rows : rows - (rows % rowGroupRows);
}

const numbered = (index: number, count: number): string =>
  String(index).padStart(String(Math.max(0, count - 1)).length, '0');
const partName = (index: number, count: number): string => `part-${numbered(index, count)}.parquet`;
const onlyName = (label: string, index: number, count: number): string =>
  `_only_${label}${count === 1 ? '' : `-${numbered(index, count)}`}.parquet`;

/** Output rows start .. end, all made from rows of one source, in that source's order. */
interface Stretch {
  readonly source: number;
  readonly map: RowMap;
  readonly start: number;
  readonly end: number;
  readonly sourceRows: number;
}

/** At least one part, if only of no rows, so that there is always a file to read. */
function cut(
  { source, map, start, end, sourceRows }: Stretch,
  rows: number,
  nameOf: (index: number, count: number) => string,
): OutPart[] {
  const count = Math.max(1, Math.ceil((end - start) / rows));
  const bounds = Array.from({ length: count + 1 }, (_, i) => Math.min(end, start + i * rows));
  const sourceRow = (i: number) => (i === 0 ? 0 : i === count ? sourceRows : (map?.[bounds[i]!] ?? bounds[i]!));
  return Array.from({ length: count }, (_, i) => ({
    name: nameOf(i, count),
    start: bounds[i]!,
    end: bounds[i + 1]!,
    of: { source, start: sourceRow(i), end: sourceRow(i + 1) },
  }));
}

function perPrimaryFile({ descriptor }: CutSource, own: RowMap, rowsOfPrimary: number): OutPart[] {
  const { files, rows } = descriptor;
  const bounds = [...files.map(({ firstRow }) => firstRow), rows];
  const placeOf = (row: number) =>
    row === rows ? rowsOfPrimary : own === undefined ? row : lowerBound(own, rowsOfPrimary, row);
  return files.map(({ descriptor: { uri } }, i) => ({
    name: `${numbered(i, files.length)}-${fileName(uri).replace(/\.[^.]+$/, '')}.parquet`,
    start: placeOf(bounds[i]!),
    end: placeOf(bounds[i + 1]!),
    of: { source: 0, start: bounds[i]!, end: bounds[i + 1]! },
  }));
}

function ownerBefore(maps: readonly RowMap[], source: number, row: number): boolean {
  for (let s = 0; s < source; s++) if (maps[s] === undefined || maps[s]![row]! >= 0) return false;
  return true;
}

/** Output rows that have a primary row: they come first. */
function ownRows(own: Int32Array): number {
  let rows = own.length;
  while (rows > 0 && own[rows - 1]! < 0) rows--;
  return rows;
}

/** First output row whose primary row is at least `row`. */
function lowerBound(own: Int32Array, rows: number, row: number): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (own[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low;
}
