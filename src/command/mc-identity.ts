// Owns what tells simulated samples apart although their keys are equal: ATLAS channels, and titles and lengths of weights.
import type { Column, FlatColumn } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { isWeights } from '../core/receipt.ts';
import { fieldNamed } from '../core/schema.ts';
import { formatCount } from '../core/text.ts';
import { keyColumnName, withKeyColumn } from '../keys/spec.ts';
import { type Dataset, readRows } from '../source/dataset.ts';
import { ownReceipt } from '../source/own-metadata.ts';
import type { FileDescriptor } from '../source/types.ts';
import { readReceipt } from '../verify/receipt-shape.ts';

const CHANNEL = 'mcChannelNumber';
/** Rows of a channel column read at a time. */
const READ_ROWS = 1 << 20;
const CHANNELS_SHOWN = 6;

/**
 * ATLAS simulation counts events from 1 in every sample, under few run numbers. A side with several channels joins on the
 * channel too; else it must be one and the same on all sides. Data have channel 0.
 * Errors: join/sample-differs, join/sample-unknown where one side has no channel and no sample is named.
 */
export async function settleChannel(
  key: KeySpec,
  datasets: readonly Dataset[],
  sample: string | undefined,
  signal: AbortSignal,
): Promise<KeySpec> {
  if (key.name !== 'atlas' || datasets.length < 1) return key;
  const sides: (ReadonlySet<string> | undefined)[] = [];
  for (const dataset of datasets) sides.push(await channelsOf(dataset, signal));
  const simulated = sides.findIndex((channels) => channels !== undefined && [...channels].some((name) => name !== '0'));
  if (simulated < 0) return key;
  const absent = sides.indexOf(undefined);
  const several = sides.findIndex((channels) => channels !== undefined && channels.size > 1);
  if (absent >= 0 && (several >= 0 || sample === undefined)) {
    throw unknownSample(datasets[absent]!, datasets[simulated]!, sides[several < 0 ? simulated : several]!);
  }
  if (several >= 0) return withKeyColumn(key, CHANNEL);
  const first = [...sides[simulated]!][0]!;
  const other = sides.findIndex((channels) => channels !== undefined && channels.size > 0 && !channels.has(first));
  if (other < 0) return key;
  throw new ColweaveError(
    'join/sample-differs',
    `source "${datasets[other]!.descriptor.label}" is of ${CHANNEL} ${[...sides[other]!][0]}, source "${datasets[simulated]!.descriptor.label}" of ${first}`,
    { where: [datasets[other]!.descriptor.files[0]!.descriptor.uri] },
  );
}

/** Channels of a source as text; undefined = it has no such column. */
async function channelsOf(dataset: Dataset, signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
  const name = keyColumnName(dataset.descriptor.schema, CHANNEL);
  if (name === undefined || fieldNamed(dataset.descriptor.schema, name)?.type.kind !== 'flat') return undefined;
  const found = new Set<string>();
  const { rows } = dataset.descriptor;
  for (let start = 0; start < rows; start += READ_ROWS) {
    const [column] = await readRows(dataset, [name], start, Math.min(rows, start + READ_ROWS), signal);
    addValues(column!, found);
  }
  return found;
}

function addValues(column: Column, found: Set<string>): void {
  const { values } = column as FlatColumn;
  for (let i = 0; i < values.length; i++) if (i === 0 || values[i] !== values[i - 1]) found.add(String(values[i]));
}

function unknownSample(without: Dataset, having: Dataset, channels: ReadonlySet<string>): ColweaveError {
  const shown = [...channels].slice(0, CHANNELS_SHOWN).join(', ');
  const several = channels.size > 1;
  return new ColweaveError(
    'join/sample-unknown',
    `source "${without.descriptor.label}" has no ${CHANNEL}; source "${having.descriptor.label}" is simulation of ${shown}`,
    {
      where: [without.descriptor.files[0]!.descriptor.uri],
      hint: several
        ? `event numbers repeat in every sample: keep ${CHANNEL} in each source, or join one sample at a time`
        : `event numbers repeat in every sample: keep ${CHANNEL} in each source, or say with --sample NAME that all are of one`,
    },
  );
}

/**
 * Files of one source whose LHE or PS weights have other titles or lengths: item 0 is not the same variation in all of them.
 * `wanted`: the columns that are written. Errors: source/titles-differ.
 */
export async function refuseOtherTitles(
  dataset: Dataset,
  wanted: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const names = dataset.descriptor.schema.fields
    .filter(({ name, type }) => isWeights(name) && type.kind === 'list' && wanted.has(name))
    .map(({ name }) => name);
  if (names.length === 0 || dataset.files.length < 2) return;
  const seen = new Map<string, { readonly title: string; readonly length: number | undefined; readonly uri: string }>();
  for (const file of dataset.files) {
    const { schema, rows, uri } = file.descriptor;
    const stated = titlesStated(file.descriptor);
    const present = names.filter((name) => fieldNamed(schema, name) !== undefined);
    const columns = rows === 0 ? [] : await file.read(present, 0, 1, signal);
    present.forEach((name, i) => {
      const now = { title: fieldNamed(schema, name)!.doc || stated.get(name) || '', length: lengthOf(columns[i]), uri };
      const before = seen.get(name);
      if (before === undefined) {
        seen.set(name, now);
        return;
      }
      const titles = before.title !== '' && now.title !== '' && before.title !== now.title;
      const lengths = before.length !== undefined && now.length !== undefined && before.length !== now.length;
      if (titles || lengths) throw otherTitles(dataset, name, [before, now], titles);
      seen.set(name, {
        title: before.title || now.title,
        length: before.length ?? now.length,
        uri: before.length === undefined ? uri : before.uri,
      });
    });
  }
}

/** Of an output that was joined before: tools that write it again may keep the receipt and drop titles of columns. */
function titlesStated(descriptor: FileDescriptor): ReadonlyMap<string, string> {
  const text = ownReceipt(descriptor);
  const columns = text === undefined ? [] : (readReceipt(text).receipt?.output.columns ?? []);
  return new Map(columns.flatMap(({ name, title }) => (title === undefined ? [] : [[name, title] as const])));
}

const lengthOf = (column: Column | undefined): number | undefined =>
  column?.kind === 'list' ? column.offsets[1] : undefined;

function otherTitles(
  { descriptor }: Dataset,
  name: string,
  sides: readonly { readonly title: string; readonly length: number | undefined; readonly uri: string }[],
  titles: boolean,
): ColweaveError {
  const what = titles ? 'titles' : 'numbers of items';
  const text = ({ title, length, uri }: (typeof sides)[number]) =>
    `${titles ? `"${title}"` : `${formatCount(length!)} items`} in ${uri}`;
  return new ColweaveError(
    'source/titles-differ',
    `the files of source "${descriptor.label}" have ${name} with other ${what}: the same item is another variation`,
    { where: [sides[1]!.uri], details: sides.map(text) },
  );
}
