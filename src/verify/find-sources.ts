// Owns finding the sources of a join among files given in any order: by identity, never by name or place.

import { ColweaveError } from '../core/errors.ts';
import type { FileIdentity, Receipt } from '../core/receipt.ts';
import { fileName } from '../core/text.ts';
import { type AbsentTrigger, type Dataset, openDataset, type SchemaPolicy } from '../source/dataset.ts';
import type { Input } from '../source/inputs.ts';
import { openInput } from '../source/registry.ts';
import { counted, type Finding, finding, named } from './findings.ts';

/** One source of the receipt, opened again. */
export interface GivenSource {
  readonly index: number;
  readonly label: string;
  readonly dataset: Dataset;
  /** Name in the output -> name in the source. */
  readonly columns: ReadonlyMap<string, string>;
}

export interface GivenSources {
  readonly sources: readonly GivenSource[];
  readonly findings: readonly Finding[];
  /** Labels of sources of which no file was given: not compared. */
  readonly left: readonly string[];
}

/** A file of the receipt, and the one given for it. */
interface Slot {
  readonly source: number;
  readonly name: string;
  readonly identity: FileIdentity;
  input?: Input;
}

export async function findSources(
  receipt: Receipt,
  inputs: readonly Input[],
  signal: AbortSignal,
): Promise<GivenSources> {
  const slots = receipt.sources.flatMap(({ files }, source) =>
    files.map(({ name, identity }): Slot => ({ source, name, identity })),
  );
  const strangers: { readonly input: Input; readonly identity: FileIdentity | undefined }[] = [];
  for (const input of inputs) {
    const stranger = await fillSlots(input, slots, signal);
    if (stranger !== undefined) strangers.push({ input, ...stranger });
  }
  const findings = strangers.map(({ input, identity }) => standIn(input, identity, slots));
  const sources: GivenSource[] = [];
  const left: string[] = [];
  for (const [index, { label }] of receipt.sources.entries()) {
    const own = slots.filter((slot) => slot.source === index);
    const absent = own.filter((slot) => slot.input === undefined).map(({ name }) => name);
    if (absent.length === own.length) left.push(label);
    else if (absent.length > 0) findings.push(absentFiles(label, absent));
    else sources.push(await openGiven(receipt, index, own, signal));
  }
  return { sources, findings, left };
}

/**
 * Puts the input into every free slot of its identity; where one file filled two, a copy takes one of them over. A file that
 * fits none is a stranger, with what it is.
 */
async function fillSlots(
  input: Input,
  slots: readonly Slot[],
  signal: AbortSignal,
): Promise<{ readonly identity: FileIdentity | undefined } | undefined> {
  const trees = input.tree !== undefined ? [input.tree] : [...new Set(slots.map(({ identity }) => identity.tree))];
  let last: FileIdentity | undefined;
  let found = false;
  for (const tree of trees) {
    const identity = await identityOf(input, tree, signal);
    last ??= identity;
    if (identity === undefined) continue;
    const own = slots.filter((slot) => sameIdentity(slot.identity, identity));
    const free = own.filter((slot) => slot.input === undefined);
    const twin = own.find((slot) => own.some((other) => other !== slot && other.input?.uri === slot.input?.uri));
    for (const slot of free.length > 0 || twin === undefined ? free : [twin]) {
      slot.input = tree === undefined ? input : { ...input, tree };
      found = true;
    }
  }
  return found ? undefined : { identity: last };
}

async function identityOf(
  input: Input,
  tree: string | undefined,
  signal: AbortSignal,
): Promise<FileIdentity | undefined> {
  try {
    const file = await openInput(input, tree === undefined ? {} : { tree }, signal);
    await file.close();
    return file.descriptor.identity;
  } catch (error) {
    if (error instanceof ColweaveError && error.code === 'source/no-tree') return undefined;
    throw error;
  }
}

function sameIdentity(left: FileIdentity, right: FileIdentity): boolean {
  return left.size === right.size && left.id === right.id && left.tree === right.tree && left.entries === right.entries;
}

/** A file with the name of one in the receipt but another identity stands in for it, so that the first event that differs is named too. */
function standIn(input: Input, identity: FileIdentity | undefined, slots: readonly Slot[]): Finding {
  const name = fileName(input.uri);
  const slot = slots.find((candidate) => candidate.input === undefined && candidate.name === name);
  if (slot === undefined || identity === undefined) {
    return finding('verify/source-unknown', `${input.uri} is none of the files that were joined`);
  }
  slot.input = identity.tree === undefined ? input : { ...input, tree: identity.tree };
  const was = slot.identity;
  const what =
    was.entries !== identity.entries
      ? `${identity.entries} entries, ${was.entries} when joined`
      : was.size !== identity.size
        ? `${identity.size} bytes, ${was.size} when joined`
        : `id ${identity.id}, ${was.id} when joined`;
  return finding('verify/source-changed', `${input.uri} is not the file that was joined: ${what}`);
}

function absentFiles(label: string, names: readonly string[]): Finding {
  return finding(
    'verify/source-absent',
    `${counted(names.length, 'file')} of source ${label} not given: ${named(names)}`,
    {
      count: names.length,
    },
  );
}

async function openGiven(
  receipt: Receipt,
  index: number,
  slots: readonly Slot[],
  signal: AbortSignal,
): Promise<GivenSource> {
  const { label, columns, equal = [] } = receipt.sources[index]!;
  const { schema, absentTrigger } = receipt.policies;
  const dataset = await openDataset(
    slots.map((slot) => slot.input!),
    {
      label,
      schema: (schema ?? 'strict') as SchemaPolicy,
      ...(typeof absentTrigger === 'string' ? { absentTrigger: absentTrigger as AbsentTrigger } : {}),
    },
    signal,
  );
  const has = new Set(dataset.descriptor.schema.fields.map((field) => field.name));
  const labels = Array.isArray(receipt.spec.labels) ? receipt.spec.labels : [];
  const suffix = index > 0 && labels[index - 1] !== null ? `_${label}` : undefined;
  const origin = (name: string) => {
    const bare = suffix !== undefined && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
    return has.has(bare) ? bare : name;
  };
  const written = columns.map(({ name, from }) => [name, from ?? origin(name)] as const);
  const storedOnce = equal.map(({ column, from }) => [column, from] as const);
  return { index, label, dataset, columns: new Map([...written, ...storedOnce]) };
}
