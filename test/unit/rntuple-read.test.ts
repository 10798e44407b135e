// RNTuples of fixtures/: every column as ROOT itself reads it (what RNTupleImporter and uproot wrote: as the tree they came from).
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/core/column.ts';
import { typeName } from '../../src/core/schema.ts';
import { keyColumnNames, keySpecFor } from '../../src/keys/spec.ts';
import { openSource, reopenSource } from '../../src/source/registry.ts';
import { digests, fixture, readDigests, withSource } from './column-digests.ts';

const expected = readDigests('rntuple-digests.json');
const trees = readDigests('root-digests.json');

describe('every column equals what ROOT reads', () => {
  it.each(Object.keys(expected))('%s', async (name) => {
    for (const chunkRows of [Number.POSITIVE_INFINITY, 1, 7, 29]) {
      expect(await withSource(name, (source) => digests(source, chunkRows))).toEqual(expected[name]);
    }
  });

  it('what RNTupleImporter made of a tree is that tree', async () => {
    for (const chunkRows of [100, 13]) {
      const got = await withSource('rntuple_nano_1.root', (source) => digests(source, chunkRows));
      expect(got).toEqual(trees['nano_1.root']);
    }
  });

  it('what uproot made of a tree is that tree, with its columns as lists of their own', async () => {
    const got = await withSource('rntuple_uproot.root', (source) => digests(source, 30));
    expect(got).toEqual(trees['nano_1.root']);
  });
});

describe('schema', () => {
  it('has the types of the fields, records by dots, and says why others are left out', async () => {
    await withSource('rntuple_types.root', async ({ descriptor, unreadable }) => {
      const types = new Map(descriptor.schema.fields.map(({ name, type }) => [name, typeName(type)]));
      const some = ['b1', 'c1', 'y1', 'u8', 'half', 'double32', 'quant20', 'Jet_pt', 'nested', 'deep', 'words'];
      expect(some.map((name) => types.get(name))).toEqual(
        'bool i8 u8 u64 f32 f64 f32 list<f32> list<list<f64>> list<list<list<u8>>> list<utf8>'.split(' '),
      );
      const shaped = [
        'fixed',
        'matrix',
        'pairs',
        'lists',
        'bits',
        'color',
        'hit.base',
        'hits.adc',
        'two._1',
        'nhits64',
      ];
      expect(shaped.map((name) => types.get(name))).toEqual(
        'f32[3] i16[2][2] list<f32[2]> list<i32>[2] bool[11] i32 i32 list<list<i16>> f32 u64'.split(' '),
      );
      const missing = descriptor.schema.fields.filter(({ nullable }) => nullable).map(({ name }) => name);
      expect(missing).toEqual(['maybe', 'maybe_text', 'maybe_list', 'pointer']);
      expect(descriptor.schema.fields[0]).toMatchObject({ name: 'run', doc: 'run number' });
      expect(unreadable).toMatchObject([
        { name: 'variant', type: 'std::variant<std::int32_t,float>' },
        { name: 'list_of_maybe', type: 'std::optional<std::int32_t>' },
      ]);
    });
  });

  it('refuses by name what it cannot read', async () => {
    await withSource('rntuple_types.root', async (source) => {
      await expect(source.read(['variant'], 0, 1)).rejects.toMatchObject({ code: 'source/unreadable-column' });
      await expect(source.read(['Jet_ptt'], 0, 1)).rejects.toMatchObject({
        code: 'source/no-column',
        near: ['Jet_pt', 'Jet_id'],
      });
    });
  });

  it('shows imported collections once, under the names of their lists, with their counter', async () => {
    await withSource('rntuple_nano_1.root', async ({ descriptor, redundant }) => {
      const names = descriptor.schema.fields.map(({ name }) => name);
      expect(names.filter((name) => name.startsWith('_'))).toEqual([]);
      expect(names.filter((name) => name === 'Jet_pt')).toHaveLength(1);
      const jet = descriptor.schema.fields.find(({ name }) => name === 'Jet_pt');
      expect(jet).toMatchObject({ counter: 'nJet' });
      expect(redundant).toContain('_collection0');
    });
  });

  it('lists of one collection share their offsets, and the counter agrees with them', async () => {
    await withSource('rntuple_nano_1.root', async (source) => {
      const [pt, eta, count, muon] = await source.read(['Jet_pt', 'Jet_eta', 'nJet', 'Muon_pt'], 10, 60);
      if (pt?.kind !== 'list' || eta?.kind !== 'list' || muon?.kind !== 'list') throw new Error('no list');
      expect(pt.offsets).toBe(eta.offsets);
      expect(pt.offsets).not.toBe(muon.offsets);
      if (count?.kind !== 'flat') throw new Error('no counter');
      const lengths = Array.from(pt.offsets.subarray(1), (end, i) => end - pt.offsets[i]!);
      expect(lengths).toEqual(Array.from(count.values, Number));
    });
  });

  it('lists that uproot wrote apart share their offsets where they are equal', async () => {
    await withSource('rntuple_uproot.root', async (source) => {
      const [pt, eta] = await source.read(['Jet_pt', 'Jet_eta'], 10, 60);
      if (pt?.kind !== 'list' || eta?.kind !== 'list') throw new Error('no list');
      expect(pt.offsets).toBe(eta.offsets);
    });
  });
});

describe('which RNTuple', () => {
  it('is named, with its directory, or is refused with those there are', async () => {
    const rows = (tree?: string) => withSource('rntuple_two.root', async ({ descriptor }) => descriptor.rows, tree);
    expect(await rows('Nominal')).toBe(9);
    expect(await rows('dir/Extra')).toBe(10);
    await expect(rows()).rejects.toMatchObject({ code: 'source/no-tree', message: expect.stringContaining('Nominal') });
  });

  it('is told apart from others by size, UUID, name and entries', async () => {
    const one = await withSource('rntuple_two.root', async ({ descriptor }) => descriptor, 'Nominal');
    expect(one).toMatchObject({ format: 'root-rntuple', identity: { tree: 'Nominal', entries: 9 } });
    expect(one.identity.id).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('what it refuses as a whole', () => {
  it('data spread over several keys, by name', async () => {
    const error = { code: 'source/newer-format', message: expect.stringContaining('several keys') };
    await expect(openSource(fixture('rntuple_keys.root'), {})).rejects.toMatchObject(error);
  });
});

it('EventData of PHYSLITE is taken, whatever else is in the file, and has the key of ATLAS', async () => {
  await withSource('rntuple_physlite.root', async ({ descriptor }) => {
    expect(descriptor.identity.tree).toBe('EventData');
    const spec = keySpecFor(undefined, descriptor.schema, []);
    expect(spec.name).toBe('atlas');
    const names = keyColumnNames(spec, descriptor.schema, []);
    expect(names).toEqual(['EventInfoAuxDyn:runNumber', 'EventInfoAuxDyn:eventNumber']);
  });
});

describe('reading', () => {
  it('from a descriptor that went through a structured clone', async () => {
    const descriptor = await withSource('rntuple_types.root', async (source) => structuredClone(source.descriptor));
    const again = await reopenSource(descriptor);
    try {
      expect(await digests(again, 40)).toEqual(expected['rntuple_types.root']);
    } finally {
      await again.close();
    }
  });

  it('any rows, forth and back, gives what the whole has', async () => {
    await withSource('rntuple_types.root', async (source) => {
      const names = ['event', 'quant7', 'bits', 'deep', 'words', 'hits.adc', 'maybe_list', 'nhits', 'lists', 'trunc17'];
      const whole = await source.read(names, 0, 100);
      const spans = [
        [95, 100],
        [0, 3],
        [29, 31],
        [30, 60],
        [31, 59],
        [50, 50],
        [99, 100],
        [0, 100],
        [12, 88],
      ] as const;
      for (const [start, end] of spans) {
        const part = await source.read(names, start, end);
        names.forEach((_, i) => {
          expect(rowsOf(part[i]!)).toEqual(rowsOf(whole[i]!).slice(start, end));
        });
      }
    });
  });

  it('no rows of an RNTuple, and none of many columns', async () => {
    await withSource('rntuple_late.root', async (source) => {
      const columns = await source.read(['x', 'late_list', 'late_text', 'later_nested'], 5, 5);
      expect(columns.map(({ length }) => length)).toEqual([0, 0, 0, 0]);
      expect(await source.read([], 0, 60)).toEqual([]);
    });
  });

  it('says what columns cost: an index that several lists have counts once', async () => {
    await withSource('rntuple_nano_1.root', async (source) => {
      const jet = source.bytesOf(['Jet_pt']);
      expect(source.bytesOf(['Jet_pt', 'nJet'])).toBe(jet);
      expect(jet).toBeGreaterThan(source.bytesOf(['nJet']));
      const raw = source.rawBytesOf(['Jet_pt', 'Jet_eta']);
      expect(raw).toBe(2 * source.rawBytesOf(['Jet_pt']) - source.rawBytesOf(['nJet']));
      expect(source.rawBytesOf(['event'])).toBe(800);
    });
  });
});

it('a file put in the place of the one that was opened is noticed', async () => {
  const source = await openSource(fixture('rntuple_late.root'), {});
  await source.close();
  const other = { ...source.descriptor, uri: fixture('rntuple_representations.root') };
  await expect(reopenSource(other)).rejects.toMatchObject({ code: 'source/damaged' });
});

/** Each row as plain values. */
function rowsOf(column: Column): unknown[] {
  const { valid } = column;
  const row = (i: number): unknown => {
    if (valid?.[i] === 0) return null;
    if (column.kind === 'flat') return column.values[i];
    const [start, end] = [column.offsets[i]!, column.offsets[i + 1]!];
    if (column.kind === 'utf8') return Buffer.from(column.bytes.subarray(start, end)).toString();
    return items!.slice(start, end);
  };
  const items = column.kind === 'list' ? rowsOf(column.items) : undefined;
  return Array.from({ length: column.length }, (_, i) => row(i));
}
