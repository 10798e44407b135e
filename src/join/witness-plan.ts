// Owns which columns bear witness that equal keys are the same event: decided by schemas and options, before any payload is read.
import { ColweaveError } from '../core/errors.ts';
import { fieldNamed, type Schema, typeName } from '../core/schema.ts';
import { nearestNames } from '../core/text.ts';
import { keyColumnName } from '../keys/spec.ts';
import { type Aliases, HARD, SOFT, SOFT_COUNTER } from '../keys/witness.ts';
import type { DatasetDescriptor } from '../source/dataset.ts';
import type { LengthCheck, OutColumn } from './plan.ts';

/** A column that the primary and a friend both have: compared in every event that both have. */
export interface Witness {
  readonly source: number;
  /** Its name in the primary, and in the friend. */
  readonly primary: string;
  readonly friend: string;
  /** Unequal in any event = the join stops. Else only counted. */
  readonly hard: boolean;
  /** Largest difference relative to the greater of both values; 0 = equal exactly, after widening. */
  readonly tolerance: number;
}

/** What `--witness` asks for. */
export interface WitnessWish {
  /** The table of known witnesses. */
  readonly auto: boolean;
  readonly named: readonly { readonly name: string; readonly tolerance: number }[];
}

/** `auto`, `off`, or `COL,COL~1e-3`; `auto,COL` adds. Errors: usage/bad-option. */
export function parseWitness(text: string): WitnessWish {
  if (text === 'off') return { auto: false, named: [] };
  const words = text.split(',').map((word) => word.trim());
  const named = words
    .filter((word) => word !== 'auto')
    .map((word) => {
      const [, name, tolerance = '0'] = /^([^~]+)(?:~(.+))?$/.exec(word) ?? [];
      const value = Number(tolerance);
      if (name === undefined || name === 'off' || tolerance.trim() === '' || !(value >= 0 && value < 1)) {
        throw new ColweaveError('usage/bad-option', `--witness cannot be "${text}"`, {
          hint: 'auto, off, or columns joined by commas; COL~1e-3 allows that difference, relative to the value',
        });
      }
      return { name, tolerance: value };
    });
  return { auto: words.includes('auto'), named };
}

interface WitnessInputs {
  /** Primary first. */
  readonly datasets: readonly DatasetDescriptor[];
  readonly columns: readonly OutColumn[];
  readonly checks: readonly LengthCheck[];
  /** Names of the key columns. */
  readonly key: readonly string[];
}

/** Errors: source/no-column where the primary, or every friend, lacks a column that was named. */
export function planWitnesses(inputs: WitnessInputs, wish: WitnessWish): readonly Witness[] {
  const { datasets } = inputs;
  const [primary, ...friends] = datasets;
  for (const { name } of wish.named) refuseAbsent(name, primary!, friends);
  return friends.flatMap(({ schema }, i) => {
    const pair = (aliases: Aliases, hard: boolean, tolerance: number): Witness[] => {
      const [mine, theirs] = [primary!.schema, schema].map((each) => named(each, aliases));
      if (mine === undefined || theirs === undefined || aliases.some((name) => inputs.key.includes(name))) return [];
      if (!comparable(primary!.schema, mine, schema, theirs)) return [];
      return [{ source: i + 1, primary: mine, friend: theirs, hard, tolerance }];
    };
    const asked = wish.named.flatMap(({ name, tolerance }) => pair(aliasesOf(name), true, tolerance));
    if (!wish.auto) return asked;
    const all = [
      ...asked,
      ...HARD.flatMap((aliases) => pair(aliases, true, 0)),
      ...softAliases(primary!.schema)
        .flatMap((aliases) => pair(aliases, false, 0))
        .filter((witness) => bothWritten(inputs, witness)),
    ];
    return all.filter((witness, k) => all.findIndex(({ primary: name }) => name === witness.primary) === k);
  });
}

/** Soft witnesses cost no reading: only those that are written from both sides are compared. */
function bothWritten({ columns }: WitnessInputs, { source, primary, friend }: Witness): boolean {
  const has = (s: number, name: string) =>
    columns.some((column) => column.kind === 'payload' && column.source === s && column.from === name);
  return has(0, primary) && has(source, friend);
}

function softAliases({ fields }: Schema): Aliases[] {
  const counters = fields.filter(({ name, type }) => SOFT_COUNTER.test(name) && type.kind === 'flat');
  return [...SOFT, ...counters.map(({ name }) => [name])];
}

function aliasesOf(name: string): Aliases {
  return [...HARD, ...SOFT].find((aliases) => aliases.includes(name)) ?? [name];
}

/** The name under which a schema has one of the aliases, bare or with a prefix of ATLAS. */
function named(schema: Schema, aliases: Aliases): string | undefined {
  for (const alias of aliases) {
    const name = keyColumnName(schema, alias);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Both integers, both floats, or floats with integers that a double holds exactly. */
function comparable(left: Schema, leftName: string, right: Schema, rightName: string): boolean {
  const types = [fieldNamed(left, leftName)!.type, fieldNamed(right, rightName)!.type];
  const dtypes = types.map((type) => (type.kind === 'flat' ? type.dtype : undefined));
  if (dtypes.includes(undefined)) return false;
  const wide = dtypes.some((dtype) => dtype === 'i64' || dtype === 'u64');
  return !wide || dtypes.every((dtype) => !dtype!.startsWith('f'));
}

function refuseAbsent(name: string, primary: DatasetDescriptor, friends: readonly DatasetDescriptor[]): void {
  const lacking = (descriptor: DatasetDescriptor) => named(descriptor.schema, aliasesOf(name)) === undefined;
  const bad = lacking(primary) ? primary : friends.every(lacking) ? friends[0] : undefined;
  const field = bad === undefined ? named(primary.schema, aliasesOf(name))! : undefined;
  const type = field === undefined ? undefined : fieldNamed(primary.schema, field)!.type;
  if (type !== undefined && type.kind !== 'flat') {
    throw new ColweaveError(
      'usage/bad-option',
      `--witness ${name}: a column of ${typeName(type)} cannot bear witness`,
      {
        hint: 'name columns with one number an event',
      },
    );
  }
  if (bad === undefined) return;
  throw new ColweaveError('source/no-column', `--witness ${name}: source "${bad.label}" has no such column`, {
    where: [bad.files[0]!.descriptor.uri],
    near: nearestNames(
      name,
      bad.schema.fields.map((field) => field.name),
    ),
    hint: 'name columns that the primary and a friend have',
  });
}
