// TTrees of fixtures/: every column as uproot read it, in any chunking, whatever codec and layout they are stored in.
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/core/column.ts';
import { bitsOf } from '../../src/core/dtype.ts';
import { typeName } from '../../src/core/schema.ts';
import { reopenSource } from '../../src/source/registry.ts';
import type { SourceFile } from '../../src/source/types.ts';
import { digests, readDigests, withSource } from './column-digests.ts';

const expected = readDigests('root-digests.json');

async function column(source: SourceFile, name: string): Promise<Column> {
  const [only] = await source.read([name], 0, source.descriptor.rows);
  return only!;
}

describe('every column equals what uproot read', () => {
  it.each(['nano_1.root', 'nano_2.root', 'nano_3.root', 'shapes.root'])('%s', async (name) => {
    expect(await withSource(name, digests)).toEqual(expected[name]);
  });

  it.each([1, 7, 33, 99])('nano_1.root in chunks of %d rows', async (chunkRows) => {
    const got = await withSource('nano_1.root', (source) => digests(source, chunkRows));
    expect(got).toEqual(expected['nano_1.root']);
  });
});

describe('storage does not matter', () => {
  const small = ['comp_zlib', 'comp_zstd', 'comp_lz4', 'comp_none', 'comp_old_cs', 'cycles', 'unflushed', 'clusters'];
  it.each([...small, 'comp_lzma', 'comp_mixed'])('%s.root', async (name) => {
    for (const chunkRows of [100, 13]) {
      const got = await withSource(`${name}.root`, (source) => digests(source, chunkRows));
      expect(got).toEqual(expected['nano_1.root']);
    }
  });

  it('a tree in a directory, found by its path or as the only one', async () => {
    expect(await withSource('directory.root', digests, 'dir/Events')).toEqual(expected['nano_1.root']);
    expect(await withSource('directory.root', async ({ descriptor }) => descriptor.identity.tree)).toBe('dir/Events');
  });

  it('baskets whose edges differ by branch, in any chunks', async () => {
    const whole = await withSource('many_baskets.root', (source) => digests(source));
    for (const chunkRows of [1, 50, 299]) {
      expect(await withSource('many_baskets.root', (source) => digests(source, chunkRows))).toEqual(whole);
    }
  });

  it('no rows', async () => {
    await withSource('empty.root', async (source) => {
      expect(source.descriptor.rows).toBe(0);
      const columns = await source.read(['event', 'Jet_pt', 'note', 'x'], 0, 0);
      expect(columns.map(({ length }) => length)).toEqual([0, 0, 0, 0]);
    });
  });
});

describe('values', () => {
  const edges: [string, readonly (number | bigint)[]][] = [
    ['i1', [-128, -1, 0, 127]],
    ['u1', [0, 255, 128]],
    ['i2', [-32768, -1, 32767]],
    ['u2', [0, 65535, 32768]],
    ['i4', [-(2 ** 31), -1, 2 ** 31 - 1]],
    ['u4', [0, 2 ** 32 - 1, 2 ** 31]],
    ['i8', [-(2n ** 63n), -1n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n]],
    ['u8', [0n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]],
    ['f4', [0x7f800001, 0xffa00001, 0x7fc00000, 0x80000000, 0x00000001, 0x807fffff, 0x7f800000, 0xff800000]],
    ['f8', [0x7ff0000000000001n, 0xfff4000000000001n, 0x7ff8000000000000n, 1n << 63n, 1n, (1n << 63n) | 0xfffffn]],
  ];
  it.each(edges)('every third row of odd_%s is an edge, floats by their bits', async (type, values) => {
    await withSource('nano_1.root', async (source) => {
      const got = await column(source, `odd_${type}`);
      if (got.kind !== 'flat') throw new Error('not flat');
      const bits = type.startsWith('f') ? bitsOf(got.values) : got.values;
      values.forEach((value, i) => {
        expect(bits[3 * i]).toBe(value);
      });
    });
  });

  it('strings: empty, short, and longer than a length byte', async () => {
    await withSource('strings.root', async (source) => {
      const text = await column(source, 'text');
      if (text.kind !== 'utf8') throw new Error('not text');
      const all = ['', 'a', 'b'.repeat(254), 'c'.repeat(255), 'd'.repeat(300), '', 'é€𝄞', ''];
      for (let row = 0; row < 100; row++) {
        const bytes = text.bytes.subarray(text.offsets[row], text.offsets[row + 1]);
        expect(Buffer.from(bytes).toString()).toBe(row < 96 ? all[row % 8] : '');
      }
    });
  });

  it('lists of one counter share their offsets', async () => {
    await withSource('nano_1.root', async (source) => {
      const [pt, eta, count, muon] = await source.read(['Jet_pt', 'Jet_eta', 'nJet', 'Muon_pt'], 10, 60);
      if (pt?.kind !== 'list' || eta?.kind !== 'list' || muon?.kind !== 'list') throw new Error('no list');
      expect(pt.offsets).toBe(eta.offsets);
      expect(pt.offsets).not.toBe(muon.offsets);
      if (count?.kind !== 'flat') throw new Error('no counter');
      const lengths = Array.from(count.values, Number);
      expect(Array.from(pt.offsets.subarray(1), (end, i) => end - pt.offsets[i]!)).toEqual(lengths);
    });
  });
});

describe('schema', () => {
  it('has types, counters and the documentation of branches', async () => {
    await withSource('nano_1.root', async ({ descriptor, unreadable, redundant }) => {
      const fields = new Map(descriptor.schema.fields.map((field) => [field.name, field]));
      const types = ['event', 'Jet_pt', 'x', 'note', 'HLT_IsoMu24', 'PV_npvs'].map((name) =>
        typeName(fields.get(name)!.type),
      );
      expect(types).toEqual(['u64', 'list<f32>', 'f32[3]', 'utf8', 'bool', 'u8']);
      expect(fields.get('Jet_pt')).toMatchObject({ counter: 'nJet', doc: 'pt' });
      expect(fields.get('run')).not.toHaveProperty('doc');
      expect(fields.has('nLHEPdfWeight')).toBe(true);
      expect([unreadable, redundant]).toEqual([[], []]);
    });
  });

  it('nests fixed dimensions', async () => {
    await withSource('shapes.root', async ({ descriptor }) => {
      const types = descriptor.schema.fields.slice(3).map(({ name, type }) => `${name}: ${typeName(type)}`);
      expect(types).toEqual(['x: f32[3]', 'm: f64[2][2]', 'nJet: u32', 'Jet_cov: list<f32[2]>']);
    });
  });

  it('identifies a file by size, UUID, tree and entries', async () => {
    const one = await withSource('nano_1.root', async ({ descriptor }) => descriptor.identity);
    const other = await withSource('nano_3.root', async ({ descriptor }) => descriptor.identity);
    expect(one).toMatchObject({ tree: 'Events', entries: 100, size: 45869 });
    expect(one.id).toMatch(/^[0-9a-f]{32}$/);
    expect(one.id).not.toBe(other.id);
  });

  it('says what columns cost', async () => {
    await withSource('nano_1.root', async (source) => {
      const list = source.bytesOf(['Jet_pt']);
      expect(source.bytesOf(['Jet_pt', 'nJet'])).toBe(list);
      expect(list).toBeGreaterThan(source.bytesOf(['nJet']));
      expect(source.rawBytesOf(['Jet_pt'])).toBeGreaterThan(1000);
    });
  });
});

it('reads from a descriptor that went through a structured clone', async () => {
  const descriptor = await withSource('unflushed.root', async (source) => structuredClone(source.descriptor));
  const again = await reopenSource(descriptor);
  try {
    expect(await digests(again, 40)).toEqual(expected['nano_1.root']);
  } finally {
    await again.close();
  }
});
