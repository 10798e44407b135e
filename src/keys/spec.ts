// Owns the table of known keys, and which key a schema has.
import { ColweaveError } from '../core/errors.ts';
import type { KeyColumn, KeySpec } from '../core/key-spec.ts';
import type { Schema } from '../core/schema.ts';
import { nearestNames } from '../core/text.ts';

/** Columns known to fit 32 bits: one word a row. */
const ONE_WORD = new Set(['run', 'luminosityBlock', 'runNumber', 'mcChannelNumber', 'lumiBlock']);
/** Named by their experiment; lumiBlock, mcEventNumber and RandomRunNumber are never part of an ATLAS key. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  cms: ['run', 'luminosityBlock', 'event'],
  atlas: ['runNumber', 'eventNumber'],
};
/** Where ATLAS keeps its key columns: bare, in PHYSLITE's TTree, in its RNTuple. */
const PREFIXES = ['', 'EventInfoAuxDyn.', 'EventInfoAuxDyn:'];
/** Where EDM files (AOD, MiniAOD) keep theirs; old ones have the lumi block outside the EventID. */
const EDM: Readonly<Record<string, readonly string[]>> = {
  run: ['EventAuxiliary.id_.run_'],
  luminosityBlock: ['EventAuxiliary.id_.luminosityBlock_', 'EventAuxiliary.luminosityBlock_'],
  event: ['EventAuxiliary.id_.event_'],
};

function specOf(name: string, names: readonly string[]): KeySpec {
  const columns = names.map((column): KeyColumn => ({ name: column, words: ONE_WORD.has(column) ? 1 : 2 }));
  return { name, columns };
}

/** The key by `--on`: `cms`, `atlas`, or columns joined by commas; absent = by what the schema has. */
export function keySpecFor(on: string | undefined, schema: Schema, where: readonly string[]): KeySpec {
  if (on !== undefined) {
    const known = KNOWN[on];
    if (known !== undefined) return specOf(on, known);
    const names = on.split(',').map((name) => name.trim());
    if (names.some((name) => name === '') || new Set(names).size !== names.length) {
      throw new ColweaveError('usage/bad-option', `--on "${on}" does not name key columns`);
    }
    return specOf(names.join(','), names);
  }
  for (const [name, columns] of Object.entries(KNOWN)) {
    if (columns.every((column) => keyColumnName(schema, column) !== undefined)) return specOf(name, columns);
  }
  return refuse(schema, where);
}

function refuse(schema: Schema, where: readonly string[]): never {
  const lacking = KNOWN.cms!.filter((column) => keyColumnName(schema, column) === undefined);
  const names = schema.fields.map((field) => field.name);
  const has = KNOWN.cms!.filter((column) => !lacking.includes(column));
  throw new ColweaveError('key/absent', `no key column ${lacking.map((name) => `"${name}"`).join(', ')}`, {
    where,
    near: lacking.flatMap((name) => nearestNames(name, names, 1)),
    ...(has.length > 0 ? { hint: `where the others name each event once, join on them: --on ${has.join(',')}` } : {}),
  });
}

/** The key with one column more, for sources in which it alone does not name an event. */
export function withKeyColumn(spec: KeySpec, column: string): KeySpec {
  const names = spec.columns.map(({ name }) => name);
  return names.includes(column) ? spec : specOf(spec.name, [...names, column]);
}

/** The name under which a schema has a key column, or undefined. */
export function keyColumnName(schema: Schema, column: string): string | undefined {
  const names = new Set(schema.fields.map((field) => field.name));
  const places = [...PREFIXES.map((prefix) => prefix + column), ...(EDM[column] ?? [])];
  return places.find((name) => names.has(name));
}

/** The names of all key columns in a schema. Errors: key/absent with what is there. */
export function keyColumnNames(spec: KeySpec, schema: Schema, where: readonly string[]): readonly string[] {
  return spec.columns.map((column) => {
    const name = keyColumnName(schema, column.name);
    if (name !== undefined) return name;
    const names = schema.fields.map((field) => field.name);
    throw new ColweaveError('key/absent', `no key column "${column.name}"`, {
      where,
      near: nearestNames(column.name, names),
    });
  });
}
