// Output names, types and nullability: decided by schemas and options, and stable whatever other friends are there.
import { describe, expect, it } from 'vitest';
import { type Field, flat, list, utf8 } from '../../src/core/schema.ts';
import { refuseUnreadable } from '../../src/join/asked-unreadable.ts';
import { type SchemaOptions, settleOutSchema } from '../../src/join/out-schema.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import type { Dataset } from '../../src/source/dataset.ts';
import { memoryDataset } from '../property/memory.ts';

const keys: Field[] = ['run', 'luminosityBlock', 'event'].map((name) => ({
  name,
  type: flat(name === 'event' ? 'u64' : 'u32'),
  nullable: false,
}));
const jets: Field[] = [
  { name: 'nJet', type: flat('u32'), nullable: false },
  { name: 'Jet_pt', type: list(flat('f32')), nullable: false, counter: 'nJet' },
];
const source = (label: string | undefined, name: string, fields: readonly Field[]) => ({
  dataset: memoryDataset(name, { fields: [...keys, ...fields] }, [{ columns: {}, rows: 0 }]).descriptor,
  label,
  name,
  rowBytes: () => 4,
});
const primary = source(undefined, 'primary', [...jets, { name: 'HLT_Mu', type: flat('bool'), nullable: false }]);
const up = source('up', 'up', jets);
const settle = (sources: Parameters<typeof settleOutSchema>[0], options: Partial<SchemaOptions> = {}) =>
  settleOutSchema(sources, {
    key: keySpecFor('cms', primary.dataset.schema, []),
    how: 'left',
    layout: 'arrow',
    missing: 'reason',
    columns: [],
    dropUnreadable: false,
    ...options,
  });
const namesOf = (schema: ReturnType<typeof settle>) => schema.columns.map((column) => column.field.name);

describe('the output schema', () => {
  it('always puts a label on the payload of a labelled friend, never on others', () => {
    expect(namesOf(settle([primary, up]))).toEqual([
      'run',
      'luminosityBlock',
      'event',
      'nJet',
      'Jet_pt',
      'HLT_Mu',
      'Jet_pt_up',
      'up_missing',
    ]);
    const score = source(undefined, 'f2', [{ name: 'score', type: flat('f32'), nullable: false }]);
    expect(namesOf(settle([primary, up, score]))).toContain('Jet_pt_up');
    expect(namesOf(settle([primary, up, score]))).toContain('score');
  });

  it("drops a friend's counter that the primary has, and plans the check that proves it", () => {
    const schema = settle([primary, up]);
    expect(schema.dropped).toEqual([[], ['nJet']]);
    expect(schema.checks).toEqual([{ source: 1, list: 'Jet_pt', counterSource: 0, counter: 'nJet' }]);
  });

  it('calls a counter proved only where a list counted by it is checked', () => {
    expect(settle([primary, up], { columns: ['HLT_*'] }).dropped).toEqual([[], []]);
    const bare: Field[] = [jets[0]!, { name: 'corrected', type: list(flat('f32')), nullable: false, counter: 'nJet' }];
    const schema = settle([primary, source('up', 'up', bare)]);
    expect(schema.dropped).toEqual([[], ['nJet']]);
    expect(schema.checks).toEqual([{ source: 1, list: 'corrected', counterSource: 0, counter: 'nJet' }]);
  });

  it('refuses a fill value that would turn into another one, in columns that are written and may be filled', () => {
    const fields = (['bool', 'u8', 'i16', 'u64', 'f32'] as const).map((dtype) => ({
      name: `as_${dtype}`,
      type: flat(dtype),
      nullable: false,
    }));
    const sources = [primary, source(undefined, 'f1', [...fields, { ...jets[1]!, name: 'Jet_x' }])];
    const filled =
      (fill: number, columns: readonly string[] = []) =>
      () =>
        settle(sources, { missing: 'fill', fill, columns });
    expect(filled(0)).not.toThrow();
    expect(filled(1)).not.toThrow();
    expect(filled(-999)).toThrow(/"as_bool" is bool, which cannot hold it/);
    expect(filled(256, ['as_u8'])).toThrow(/"as_u8" is u8/);
    expect(filled(255, ['as_u8', 'as_i16', 'as_u64', 'as_f32'])).not.toThrow();
    expect(filled(-1, ['as_u64'])).toThrow(/"as_u64" is u64/);
    expect(filled(0.5, ['as_u64'])).toThrow(/"as_u64" is u64/);
    expect(filled(40_000, ['as_i16'])).toThrow(/"as_i16" is i16/);
    expect(filled(-999.5, ['as_f32', 'Jet_x', 'HLT_Mu'])).not.toThrow();
  });

  it('refuses two columns of one name', () => {
    expect(() => settle([primary, source(undefined, 'f1', jets)])).toThrow(/both have a column "Jet_pt"/);
  });

  it('makes friends nullable by how, not by what is missing', () => {
    const nullable = (how: SchemaOptions['how']) =>
      settle([primary, up], { how })
        .columns.filter((column) => column.field.nullable)
        .map((column) => column.field.name);
    expect(nullable('inner')).toEqual([]);
    expect(nullable('left')).toEqual(['Jet_pt_up']);
    expect(nullable('right')).toEqual(['nJet', 'Jet_pt', 'HLT_Mu']);
    expect(nullable('outer')).toEqual(['nJet', 'Jet_pt', 'HLT_Mu', 'Jet_pt_up']);
  });

  it('selects by globs over output names, in order', () => {
    const chosen = (...columns: string[]) => namesOf(settle([primary, up], { columns, missing: 'null' })).slice(3);
    expect(chosen('Jet_*')).toEqual(['Jet_pt', 'Jet_pt_up']);
    expect(chosen('!HLT_*')).toEqual(['nJet', 'Jet_pt', 'Jet_pt_up']);
    expect(chosen('*', '!Jet_*', 'Jet_pt_up')).toEqual(['nJet', 'HLT_Mu', 'Jet_pt_up']);
    expect(() => chosen('Jet_ptt')).toThrow(/no column "Jet_ptt"/);
    expect(() => chosen('Zet_*')).toThrow(/no column matches/);
  });

  it('nano: every field required, a list brings its counter, other types are refused by name', () => {
    const schema = settle([primary, up], { layout: 'nano', columns: ['Jet_pt'], missing: 'drop' });
    expect(namesOf(schema)).toEqual(['run', 'luminosityBlock', 'event', 'nJet', 'Jet_pt']);
    expect(schema.columns.some((column) => column.field.nullable)).toBe(false);
    const text = source('x', 'x', [{ name: 'note', type: utf8, nullable: false }]);
    expect(() => settle([primary, text], { layout: 'nano' })).toThrow(/"note_x" is utf8/);
    expect(namesOf(settle([primary, text], { layout: 'nano', dropUnreadable: true }))).not.toContain('note_x');
  });

  it('names labelled payload by a pattern, and renames last', () => {
    const naming = { pattern: '{label}_{name}', renames: [['up_Jet_pt', 'Jet_pt_jesTotalUp']] as const };
    expect(namesOf(settle([primary, up], { naming }))).toEqual([
      'run',
      'luminosityBlock',
      'event',
      'nJet',
      'Jet_pt',
      'HLT_Mu',
      'Jet_pt_jesTotalUp',
      'up_missing',
    ]);
    expect(namesOf(settle([primary, up], { naming, columns: ['Jet_pt_jes*'] }))).toContain('Jet_pt_jesTotalUp');
  });

  it('keeps collections of a friend apart, with a counter of their own and no check against the primary', () => {
    const other = source('AK8', 'AK8', [...jets, { name: 'MET_pt', type: flat('f32'), nullable: false }]);
    const schema = settle([primary, other], { naming: { ownCollections: ['AK8'] } });
    expect(namesOf(schema).slice(6)).toEqual(['nAK8Jet', 'AK8Jet_pt', 'MET_pt_AK8', 'AK8_missing']);
    expect(schema.dropped).toEqual([[], []]);
    expect(schema.checks).toEqual([]);
    const nano = settle([primary, other], {
      naming: { ownCollections: ['AK8'] },
      layout: 'nano',
      missing: 'drop',
      columns: ['AK8Jet_pt'],
    });
    expect(namesOf(nano)).toEqual(['run', 'luminosityBlock', 'event', 'nAK8Jet', 'AK8Jet_pt']);
  });

  it.each([
    [{ pattern: '{name}' }, 'usage/bad-option'],
    [{ pattern: '{label}{label}{name}' }, 'usage/bad-option'],
    [{ pattern: '{name} {label}' }, 'usage/bad-option'],
    [{ ownCollections: ['down'] }, 'usage/bad-option'],
    [{ renames: [['Jet_ptt', 'x']] as const }, 'source/no-column'],
    [{ renames: [['event', 'x']] as const }, 'usage/bad-option'],
    [{ renames: [['Jet_pt', 'HLT_Mu']] as const }, 'join/name-clash'],
    [
      {
        renames: [
          ['Jet_pt', 'x'],
          ['Jet_pt', 'y'],
        ] as const,
      },
      'usage/bad-option',
    ],
    [
      {
        renames: [
          ['Jet_pt', 'x'],
          ['HLT_Mu', 'x'],
        ] as const,
      },
      'usage/bad-option',
    ],
  ])('refuses %j', (naming, code) => {
    expect(() => settle([primary, up], { naming })).toThrow(expect.objectContaining({ code }));
  });

  it('refuses a label with _ for collections: coffea would end the name there', () => {
    const naming = { ownCollections: ['jes_up'] };
    expect(() => settle([primary, source('jes_up', 'jes_up', jets)], { naming })).toThrow(/ends the name/);
  });
});

describe('a column that cannot be read', () => {
  const dataset = (label: string, names: readonly string[], unreadable: readonly string[]) =>
    ({
      descriptor: {
        label,
        schema: { fields: names.map((name) => ({ name, type: flat('i32'), nullable: false })) },
        files: [{ descriptor: { uri: `${label}.parquet` }, firstRow: 0 }],
      },
      unreadable: unreadable.map((name) => ({ name, type: 'timestamp', reason: 'no column form' })),
    }) as unknown as Dataset;

  it('is refused by its type when it is asked for by name', () => {
    const sources = [dataset('primary', ['run'], []), dataset('fr', ['good'], ['when'])];
    const refused = {
      code: 'source/unreadable-column',
      message: 'column "when" (timestamp) cannot be read: no column form',
    };
    for (const name of ['when', 'when_fr']) {
      expect(() => refuseUnreadable([name], sources)).toThrow(expect.objectContaining(refused));
    }
  });

  it('is not in the way of a glob, of leaving it out, or of the same name elsewhere', () => {
    const sources = [dataset('primary', ['run', 'when'], []), dataset('fr', ['good'], ['when'])];
    expect(() => refuseUnreadable(['when', 'w*', '!when'], sources)).not.toThrow();
  });
});
