// Owns the output schema: a function of input schemas and options, never of values.
import { canHold } from '../core/dtype.ts';
import { ColweaveError } from '../core/errors.ts';
import type { KeySpec } from '../core/key-spec.ts';
import { type Field, fieldNamed, type Schema, typeName } from '../core/schema.ts';
import { nearestNames } from '../core/text.ts';
import { keyColumnName } from '../keys/spec.ts';
import type { DatasetDescriptor } from '../source/dataset.ts';
import { globMatcher } from '../source/inputs.ts';
import type { How } from './match.ts';
import { checkNaming, type Naming, nameIn, renamer } from './names.ts';
import type { LengthCheck, OutColumn } from './plan.ts';
import { mapColumns } from './row-map.ts';

export interface SchemaSource {
  readonly dataset: DatasetDescriptor;
  /** Given by the user; then every payload name carries it. */
  readonly label: string | undefined;
  /** What names it in `LABEL_missing` and in reports. */
  readonly name: string;
  /** Raw bytes of one row of a column on the average, by metadata. */
  readonly rowBytes: (column: string) => number;
  /** Globs over its own names; absent = all. */
  readonly columns?: readonly string[];
}

export interface SchemaOptions {
  readonly key: KeySpec;
  readonly how: How;
  readonly layout: 'arrow' | 'nano';
  readonly missing: 'reason' | 'null' | 'drop' | 'fill';
  /** With `fill`: what is written where an event is missing. */
  readonly fill?: number;
  readonly columns: readonly string[];
  readonly dropUnreadable: boolean;
  /** Events of the primary may be missing because a selection cut them. */
  readonly where?: boolean;
  readonly naming?: Naming;
  /** File and entry of every source instead of payload. */
  readonly mapOnly?: boolean;
}

export interface OutSchema {
  readonly columns: readonly OutColumn[];
  readonly checks: readonly LengthCheck[];
  /** Per source: columns left out because others say the same. */
  readonly dropped: readonly (readonly string[])[];
}

/** Errors: join/name-clash, source/no-column for a glob that means nothing, join/not-nano. */
export function settleOutSchema(sources: readonly SchemaSource[], options: SchemaOptions): OutSchema {
  const primary = sources[0]!.dataset.schema;
  if (options.mapOnly === true) return mapSchema(sources, options);
  const { naming = {} } = options;
  checkNaming(naming, labelsOf(sources));
  const keys = keyColumns(options, primary);
  const dropped = sources.map(({ dataset, label }, s) =>
    s === 0 || hasOwnCollections(label, naming) ? [] : provedCounters(dataset.schema, primary),
  );
  const named = sources.flatMap((source, s) => payloadColumns(source, s, options, dropped[s]!));
  const payload = renameColumns(named, keys, naming);
  const flags = missingColumns(sources, options);
  refuseClashes([...keys, ...payload, ...flags], sources);
  const chosen = selectColumns(payload, options);
  refuseFill(chosen, options);
  const columns = [...keys, ...(options.layout === 'nano' ? nanoColumns(chosen, options) : chosen), ...flags];
  const checks = lengthChecks(columns, sources, naming);
  const proved = (name: string, s: number) => checks.some((check) => check.source === s && check.counter === name);
  return { columns, checks, dropped: dropped.map((names, s) => names.filter((name) => proved(name, s))) };
}

function mapSchema(sources: readonly SchemaSource[], options: SchemaOptions): OutSchema {
  const keys = keyColumns(options, sources[0]!.dataset.schema);
  const columns = [...keys, ...mapColumns(sources.map(({ name }) => name)), ...missingColumns(sources, options)];
  refuseClashes(columns, sources);
  return { columns, checks: [], dropped: sources.map(() => []) };
}

const labelsOf = (sources: readonly SchemaSource[]): string[] =>
  sources.flatMap(({ label }) => (label === undefined ? [] : [label]));

const hasOwnCollections = (label: string | undefined, { ownCollections = [] }: Naming): boolean =>
  label !== undefined && ownCollections.includes(label);

function renameColumns(columns: readonly OutColumn[], keys: readonly OutColumn[], naming: Naming): OutColumn[] {
  const names = (of: readonly OutColumn[]) => of.map(({ field }) => field.name);
  const rename = renamer(naming, names(columns), names(keys));
  return columns.map((column) => ({ ...column, field: { ...column.field, name: rename(column.field.name) } }));
}

function keyColumns({ key, layout }: SchemaOptions, primary: Schema): OutColumn[] {
  return key.columns.map((column, keyIndex): OutColumn => {
    const from = keyColumnName(primary, column.name)!;
    const field = fieldNamed(primary, from)!;
    const name = layout === 'nano' ? column.name : from;
    return {
      field: { ...field, name, nullable: false },
      kind: 'key',
      source: 0,
      from,
      keyIndex,
      rowBytes: 4 * column.words,
    };
  });
}

/** Can a row of the output lack this source? Decided by `how`, never by what is missing. */
function canMiss(source: number, { how, missing }: SchemaOptions): boolean {
  if (how === 'inner' || missing === 'drop') return false;
  if (how === 'left') return source > 0;
  if (how === 'right') return source === 0;
  return true;
}

/** `nX` of a friend whose lists X_* are checked against the primary's nX in every event says nothing new. */
function provedCounters(friend: Schema, primary: Schema): string[] {
  const counters = new Set(friend.fields.map((field) => field.counter).filter((name) => name !== undefined));
  return [...counters].filter((name) => fieldNamed(primary, name) !== undefined);
}

function payloadColumns(
  source: SchemaSource,
  index: number,
  options: SchemaOptions,
  dropped: readonly string[],
): OutColumn[] {
  const { dataset, label } = source;
  const keys = new Set(options.key.columns.map((column) => keyColumnName(dataset.schema, column.name)));
  const nullable = canMiss(index, options) && options.missing !== 'fill';
  const own = dataset.schema.fields.filter((field) => !keys.has(field.name));
  return matching(
    own,
    source.columns ?? [],
    ({ name }) => name,
    [...keys].filter((name) => name !== undefined),
  )
    .filter((field) => !dropped.includes(field.name))
    .map((field): OutColumn => {
      const name = nameIn(field, dataset.schema, label, options.naming ?? {});
      return {
        field: { ...field, name, nullable: field.nullable || nullable },
        kind: 'payload',
        source: index,
        from: field.name,
        rowBytes: source.rowBytes(field.name),
      };
    });
}

/** A fill value that turns into another one, such as -999 into 25 in a u8 or into true, would look like data. */
function refuseFill(columns: readonly OutColumn[], options: SchemaOptions): void {
  const { fill } = options;
  if (fill === undefined) return;
  for (const { field, source } of columns) {
    const { name, type } = field;
    if (!canMiss(source, options) || type.kind !== 'flat' || canHold(type.dtype, fill)) continue;
    throw new ColweaveError(
      'usage/bad-option',
      `--missing fill=${fill}: column "${name}" is ${type.dtype}, which cannot hold it`,
      { hint: `give a value that all columns can hold, leave it out with -c '!${name}', or use --missing reason` },
    );
  }
}

function missingColumns(sources: readonly SchemaSource[], options: SchemaOptions): OutColumn[] {
  if (options.missing === 'null' || options.missing === 'drop') return [];
  return sources.flatMap(({ name }, source): OutColumn[] => {
    if (!canMiss(source, options)) return [];
    const cut = source === 0 && options.where === true ? ', 4 cut by --where' : '';
    const doc = `0 ${name} has the event, 1 no such event, 2 lumi block absent${cut}`;
    return [
      {
        field: { name: `${name}_missing`, type: { kind: 'flat', dtype: 'u8' }, nullable: false, doc },
        kind: 'missing',
        source,
        from: '',
        rowBytes: 1,
      },
    ];
  });
}

function refuseClashes(columns: readonly OutColumn[], sources: readonly SchemaSource[]): void {
  const seen = new Map<string, OutColumn>();
  for (const column of columns) {
    const other = seen.get(column.field.name);
    if (other !== undefined) {
      const names = [other, column].map(({ source }) => `"${sources[source]!.name}"`).join(' and ');
      throw new ColweaveError('join/name-clash', `sources ${names} both have a column "${column.field.name}"`, {
        where: [sources[column.source]!.dataset.files[0]!.descriptor.uri],
      });
    }
    seen.set(column.field.name, column);
  }
}

function selectColumns(payload: readonly OutColumn[], options: SchemaOptions): OutColumn[] {
  const keys = options.key.columns.map(({ name }) => name);
  const chosen = new Set(matching(payload, options.columns, ({ field }) => field.name, keys));
  if (options.layout === 'nano') addCounters(payload, chosen);
  return payload.filter((column) => chosen.has(column));
}

/** Globs over names, in order: `GLOB` takes in, `!GLOB` leaves out; the first being `!` starts from all. */
function matching<Item>(
  items: readonly Item[],
  globs: readonly string[],
  nameOf: (item: Item) => string,
  keys: readonly string[],
): Item[] {
  if (globs.length === 0) return [...items];
  const chosen = new Set<Item>(globs[0]!.startsWith('!') ? items : []);
  for (const pattern of globs) {
    const out = pattern.startsWith('!');
    const matches = globMatcher(out ? pattern.slice(1) : pattern);
    const hits = items.filter((item) => matches(nameOf(item)));
    if (hits.length === 0 && !keys.some(matches)) throw noSuchColumn(pattern, items.map(nameOf));
    for (const hit of hits) {
      if (out) chosen.delete(hit);
      else chosen.add(hit);
    }
  }
  return items.filter((item) => chosen.has(item));
}

function noSuchColumn(pattern: string, names: readonly string[]): ColweaveError {
  const wild = /[*?[]/.test(pattern);
  return new ColweaveError('source/no-column', wild ? `no column matches "${pattern}"` : `no column "${pattern}"`, {
    near: wild ? [] : nearestNames(pattern.replace(/^!/, ''), names),
  });
}

/** In nano layout a list is no collection without its `nX`. */
function addCounters(payload: readonly OutColumn[], chosen: Set<OutColumn>): void {
  const lists = [...chosen].filter((column) => column.field.type.kind === 'list');
  const collections = new Set(lists.map((column) => writtenCollection(column, payload)));
  for (const column of payload) {
    const { name } = column.field;
    if (name.startsWith('n') && collections.has(name.slice(1))) chosen.add(column);
  }
}

/** `AK8Jet` of a column AK8Jet_pt whose source gives nAK8Jet too; else the source's own collection. */
function writtenCollection(column: OutColumn, payload: readonly OutColumn[]): string {
  const [name] = column.field.name.split('_');
  const own = payload.some(({ source, field }) => source === column.source && field.name === `n${name}`);
  return own ? name! : collectionOf(column);
}

/** `Jet` of `Jet_pt`. */
function collectionOf(column: OutColumn): string {
  return column.from.split('_')[0]!;
}

/** coffea's reader takes flat and single LIST columns of bool and numbers, all REQUIRED; a column of any other type breaks the whole file. */
function nanoColumns(columns: readonly OutColumn[], { dropUnreadable }: SchemaOptions): OutColumn[] {
  const plain = (field: Field) =>
    field.type.kind === 'flat' || (field.type.kind === 'list' && field.type.item.kind === 'flat');
  const bad = columns.filter((column) => !plain(column.field));
  if (bad.length > 0 && !dropUnreadable) {
    const [first] = bad;
    throw new ColweaveError('join/not-nano', `column "${first!.field.name}" is ${typeName(first!.field.type)}`, {
      details: bad.slice(1, 6).map(({ field }) => `also ${field.name}: ${typeName(field.type)}`),
    });
  }
  return columns
    .filter((column) => plain(column.field))
    .map((column) => ({ ...column, field: { ...column.field, nullable: false } }));
}

/** Lists X_* agree with nX, and lists counted by nX too: with their own source's where they have another counter, and with the primary's. */
function lengthChecks(columns: readonly OutColumn[], sources: readonly SchemaSource[], naming: Naming): LengthCheck[] {
  const checks = new Map<string, LengthCheck>();
  for (const column of columns) {
    if (column.kind !== 'payload' || column.field.type.kind !== 'list' || column.field.type.size !== undefined)
      continue;
    const own = fieldNamed(sources[column.source]!.dataset.schema, column.from)?.counter;
    const named = `n${collectionOf(column)}`;
    for (const counter of new Set(own === undefined ? [named] : [named, own])) {
      const alone = hasOwnCollections(sources[column.source]!.label, naming);
      for (const counterSource of new Set(alone ? [column.source] : [column.source, 0])) {
        if (counterSource === column.source && own === counter) continue;
        const field = fieldNamed(sources[counterSource]!.dataset.schema, counter);
        if (field?.type.kind !== 'flat' || field.type.dtype.startsWith('f')) continue;
        const key = `${column.source} ${own ?? column.from} ${counterSource} ${counter}`;
        checks.set(key, { source: column.source, list: column.from, counterSource, counter });
      }
    }
  }
  return [...checks.values()];
}
