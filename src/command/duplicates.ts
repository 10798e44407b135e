// Owns what a refusal says of events that are twice: which pairs of files share them, and whether their content is equal too.
import { ColweaveError } from '../core/errors.ts';
import { keyText } from '../core/key-spec.ts';
import { formatCount } from '../core/text.ts';
import { allTwins } from '../join/find-keys.ts';
import { INLINE_CREW } from '../join/key-jobs.ts';
import type { Twin } from '../join/match-partition.ts';
import { inScratch, type KeyStore, keyRange } from '../keys/store.ts';
import { type Dataset, locateRow, readRows } from '../source/dataset.ts';
import { sameRow } from '../verify/same-value.ts';

/** Pairs of files told; the rest is counted. */
const PAIRS_SHOWN = 8;
/** Events of one pair of files whose content is compared, and the rows read for it on either side. */
const COMPARED_MAX = 1000;
const SPAN_ROWS_MAX = 1 << 16;
const COLUMNS_READ = 32;

interface Pair {
  readonly files: readonly [string, string];
  readonly twins: Twin[];
}

/**
 * The error with the triage of its source: the same event with the same content is an overlap of files (the same events
 * were processed or listed twice); with other content it is a collision (two events under one key). Any other error as it is.
 */
export async function explainDuplicates(
  error: unknown,
  sources: readonly { readonly dataset: Dataset; readonly keys: KeyStore }[],
  signal: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof ColweaveError) || !['join/duplicate-key', 'key/not-unique'].includes(error.code)) return error;
  for (const { dataset, keys } of sources) {
    const twins = await allTwins(keys, { ...INLINE_CREW, scratch: inScratch(keys) ? keys.scratch : undefined });
    if (twins.length === 0) continue;
    return await triage(error, dataset, keys, twins, signal);
  }
  return error;
}

async function triage(
  error: ColweaveError,
  dataset: Dataset,
  keys: KeyStore,
  twins: readonly Twin[],
  signal: AbortSignal,
): Promise<ColweaveError> {
  const { descriptor } = dataset;
  const pairs = pairsOf(dataset, twins);
  const lines: string[] = [];
  let collisions = 0;
  for (const pair of pairs.slice(0, PAIRS_SHOWN)) {
    const found = await compareContent(dataset, keys, pair.twins, signal);
    collisions += found.differing;
    lines.push(pairText(pair, found));
  }
  if (pairs.length > PAIRS_SHOWN) lines.push(`${formatCount(pairs.length - PAIRS_SHOWN)} more pairs of files`);
  const said = `${formatCount(twins.length)} ${twins.length === 1 ? 'row has' : 'rows have'} the key of an earlier one`;
  return new ColweaveError(error.code, error.message, {
    where: error.where,
    details: [...error.details, `source "${descriptor.label}": ${said}`, ...lines],
    hint:
      collisions > 0
        ? 'different events share a key: the files are of several samples or productions; join one at a time'
        : error.hint,
    cause: error.cause,
  });
}

/** Pairs of files that share events, the ones with most events first; file names in the order of the source. */
function pairsOf({ descriptor }: Dataset, twins: readonly Twin[]): readonly Pair[] {
  const pairs = new Map<string, Pair>();
  for (const twin of twins) {
    const files = [twin.first, twin.second].map((row) => locateRow(descriptor, row).uri) as [string, string];
    const id = files.join('\0');
    const pair = pairs.get(id);
    if (pair === undefined) pairs.set(id, { files, twins: [twin] });
    else pair.twins.push(twin);
  }
  return [...pairs.values()].sort((left, right) => right.twins.length - left.twins.length);
}

interface Content {
  readonly compared: number;
  readonly differing: number;
  /** The first column and event that differ. */
  readonly first?: { readonly column: string; readonly key: string };
}

/** Compares rows that lie near each other, at most COMPARED_MAX of them, column by column. */
async function compareContent(
  dataset: Dataset,
  keys: KeyStore,
  twins: readonly Twin[],
  signal: AbortSignal,
): Promise<Content> {
  const near = nearTwins(twins);
  const spans = [near.map(({ first }) => first), near.map(({ second }) => second)].map(spanOf);
  const differing = new Set<Twin>();
  let first: Content['first'];
  const names = dataset.descriptor.schema.fields.map(({ name }) => name);
  for (let at = 0; at < names.length; at += COLUMNS_READ) {
    const some = names.slice(at, at + COLUMNS_READ);
    const [left, right] = [
      await readRows(dataset, some, spans[0]!.start, spans[0]!.end, signal),
      await readRows(dataset, some, spans[1]!.start, spans[1]!.end, signal),
    ];
    some.forEach((column, c) => {
      const same = sameRow(left[c]!, right[c]!);
      for (const twin of near) {
        if (same(twin.first - spans[0]!.start, twin.second - spans[1]!.start)) continue;
        differing.add(twin);
        first ??= { column, key: keyText(keyRange(keys, twin.second, twin.second + 1), 0) };
      }
    });
  }
  return { compared: near.length, differing: differing.size, ...(first === undefined ? {} : { first }) };
}

function nearTwins(twins: readonly Twin[]): readonly Twin[] {
  const [lead] = twins;
  const near = (twin: Twin) =>
    Math.abs(twin.second - lead!.second) < SPAN_ROWS_MAX / 2 && Math.abs(twin.first - lead!.first) < SPAN_ROWS_MAX / 2;
  return twins.filter(near).slice(0, COMPARED_MAX);
}

function spanOf(rows: readonly number[]): { readonly start: number; readonly end: number } {
  const start = rows.reduce((least, row) => Math.min(least, row), rows[0]!);
  return { start, end: rows.reduce((most, row) => Math.max(most, row), start) + 1 };
}

function pairText({ files: [one, two], twins }: Pair, { compared, differing, first }: Content): string {
  const where = one === two ? `inside ${one}` : `${one} and ${two}`;
  const part = compared < twins.length ? ` of ${formatCount(compared)} compared` : '';
  if (first === undefined) return `${where}: ${formatCount(twins.length)} overlap (same content${part})`;
  const overlap = compared - differing;
  const also = overlap > 0 ? `, ${formatCount(overlap)} overlap` : '';
  const what = `first in ${first.column} of ${first.key}`;
  return `${where}: ${formatCount(differing)} collide (other content${part}, ${what})${also}`;
}
