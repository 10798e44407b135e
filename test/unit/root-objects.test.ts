// Object branches: any chunking gives the same columns, class versions, and bytes that do not follow their description.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Column, concatColumns } from '../../src/core/column.ts';
import { allocate, bytesOf } from '../../src/core/dtype.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { openSource, reopenSource } from '../../src/source/registry.ts';
import { assemble } from '../../src/source/root/object/assemble.ts';
import { type Classes, type ClassInfo, collectClasses } from '../../src/source/root/object/classes.ts';
import {
  bareNode,
  type Compiled,
  finishBuild,
  startBuild,
  topPlace,
  typeNode,
} from '../../src/source/root/object/compile.ts';
import { decodeObjects } from '../../src/source/root/object/decode.ts';
import { packingOf } from '../../src/source/root/object/packing.ts';
import { parseTypeName } from '../../src/source/root/object/type-names.ts';

const FILES = ['objects_split.root', 'objects_unsplit.root', 'edm_new.root', 'edm_old.root'];
const scratch = mkdtempSync(join(tmpdir(), 'colweave-objects-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function digest(column: Column): string {
  const hash = createHash('sha256');
  let inner = column;
  for (; inner.kind === 'list'; inner = inner.items) hash.update(bytesOf(inner.offsets));
  if (inner.kind === 'utf8') hash.update(bytesOf(inner.offsets)).update(inner.bytes);
  else hash.update(bytesOf(inner.values));
  return hash.digest('hex');
}

/** Of all columns of a file, read `step` rows at a time. */
async function digestsOf(path: string, step: number, again = false): Promise<readonly string[]> {
  let source = await openSource(path, {});
  if (again) {
    const descriptor = structuredClone(source.descriptor);
    await source.close();
    source = await reopenSource(descriptor);
  }
  const { schema, rows } = source.descriptor;
  const names = schema.fields.map(({ name }) => name);
  const parts: (readonly Column[])[] = [];
  for (let at = 0; at < rows; at += step) parts.push(await source.read(names, at, Math.min(rows, at + step)));
  await source.close();
  return schema.fields.map(({ type }, i) =>
    digest(
      concatColumns(
        type,
        parts.map((part) => part[i]!),
      ),
    ),
  );
}

describe('object branches', () => {
  test.each(FILES)('%s: the same in any chunking, and in a worker', async (file) => {
    const path = `fixtures/${file}`;
    const whole = await digestsOf(path, 1000);
    expect(await digestsOf(path, 7)).toEqual(whole);
    expect(await digestsOf(path, 1)).toEqual(whole);
    expect(await digestsOf(path, 26, true)).toEqual(whole);
  });

  test('columns of one branch cost its bytes once', async () => {
    const source = await openSource('fixtures/edm_new.root', {});
    const [one, both] = [['EventAuxiliary.id_.run_'], ['EventAuxiliary.id_.run_', 'EventAuxiliary.id_.event_']];
    expect(source.bytesOf(both)).toBe(source.bytesOf(one));
    await source.close();
  });

  test('payload of an EDM file is named, and an error only when asked for', async () => {
    const source = await openSource('fixtures/edm_new.root', {});
    expect(source.unreadable.map(({ name, reason }) => [name, reason])).toEqual([
      ['floats_maker__RECO.', 'payload of an EDM file: only its event keys are read'],
    ]);
    await expect(source.read(['floats_maker__RECO.'], 0, 1)).rejects.toMatchObject({
      code: 'source/unreadable-column',
    });
    await source.close();
  });

  test('200 files with damaged bytes: a coded error, or columns', async () => {
    const whole = readFileSync('fixtures/objects_unsplit.root');
    const path = join(scratch, 'damaged.root');
    let seed = 7;
    for (let round = 0; round < 200; round++) {
      const bytes = Uint8Array.from(whole);
      for (let i = 0; i < 3; i++) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        const at = 300 + (seed % (bytes.length - 300));
        bytes[at] = bytes[at]! ^ (1 << (seed >>> 29));
      }
      writeFileSync(path, bytes);
      const problem = await digestsOf(path, 1000).catch((error: unknown) => error);
      if (problem instanceof Error) expect(problem, `round ${round}: ${problem.stack}`).toBeInstanceOf(ColweaveError);
    }
  });
});

const element = (name: string, type: number, typeName: string, more = {}) => ({
  ...{ name, title: '', type, typeName, length: 0, dims: [] },
  ...more,
});

/** ID has a version with a 32-bit number and one with 64 bits; Aux holds one. */
const INFOS: readonly ClassInfo[] = [
  {
    name: 'ID',
    version: 11,
    checksum: 211,
    elements: [element('run', 13, 'unsigned int'), element('event', 17, 'ULong64_t')],
  },
  {
    name: 'ID',
    version: 10,
    checksum: 210,
    elements: [element('run', 13, 'unsigned int'), element('event', 13, 'unsigned int')],
  },
  { name: 'Aux', version: 3, checksum: 103, elements: [element('id', 62, 'ID'), element('w', 300, 'vector<float>')] },
];
const CLASSES: Classes = new Map([
  ['ID', INFOS.slice(0, 2)],
  ['Aux', INFOS.slice(2)],
]);

function compiled(type: string, classes: Classes = CLASSES): Compiled {
  const build = startBuild(classes);
  const node =
    type === 'Aux'
      ? bareNode(build, topPlace('a'), 'Aux', { version: 3, checksum: 0 })
      : typeNode(build, topPlace('a'), type, true);
  return finishBuild(build, node);
}

/** Entries as hex, with their offsets unless `bare`. */
function decoded(type: string, entries: readonly string[], bare = false): Record<string, unknown> {
  const { layout, leaves } = compiled(type);
  const buffers = entries.map((hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex'));
  const payload = Buffer.concat(buffers);
  const offsets = Buffer.alloc(4 * entries.length);
  let at = 50;
  buffers.forEach((buffer, i) => {
    offsets.writeInt32BE(at, 4 * i);
    at += buffer.length;
  });
  const basket = { payload, keyBytes: 50, ...(bare ? {} : { entryOffsets: offsets }) };
  const part = decodeObjects(layout, basket, entries.length, { from: 0, to: entries.length });
  const columnOf = assemble(layout, [{ rowStart: 0, ...part }], allocate);
  return Object.fromEntries([...leaves].map(([path, slot]) => [path, plain(columnOf(slot))]));
}

function plain(column: Column): unknown[] {
  if (column.kind === 'flat') return Array.from(column.values as Iterable<unknown>);
  const { offsets } = column;
  const items =
    column.kind === 'list' ? plain(column.items) : [...column.bytes].map((byte) => String.fromCharCode(byte));
  return Array.from({ length: column.length }, (_, i) => {
    const row = items.slice(offsets[i], offsets[i + 1]);
    return column.kind === 'list' ? row : row.join('');
  });
}

const NEW_ID = '4000000e 000b 00000001 0020000000000001';
const OLD_ID = '4000000a 000a 00000001 ee6b2800';
const EMPTY = '40000006 0009 00000000';

describe('wires', () => {
  test('versions of a class in one basket: integers widen, u32 event numbers beside u64', () => {
    const { 'a.id.event': event, 'a.id.run': run } = decoded('Aux', [NEW_ID + EMPTY, OLD_ID + EMPTY]);
    expect(event).toEqual([9007199254740993n, 4000000000n]);
    expect(run).toEqual([1, 1]);
  });

  test.each([
    ['a version that the file does not describe', [NEW_ID.replace('000b', '000c') + EMPTY], 'version 12'],
    ['a byte count that is too small', [NEW_ID.replace('4000000e', '4000000d') + EMPTY], 'other bytes'],
    ['a byte count beyond the entry', [NEW_ID.replace('4000000e', '4000ff0e') + EMPTY], 'longer than its entry'],
    ['no byte count', [NEW_ID.replace('4000', '0000') + EMPTY], 'no byte count'],
    ['a list that counts more than there is', [`${NEW_ID}40000006 0009 7fffffff`], 'counts 2147483647'],
    ['bytes left over', [`${NEW_ID}${EMPTY}00`], 'bytes that its type does not say'],
    ['bytes that end early', [NEW_ID], 'shorter than its type'],
  ])('%s is refused', (_, entries, text) => {
    expect(() => decoded('Aux', entries)).toThrow(
      expect.objectContaining({ code: 'source/unreadable-column', message: expect.stringContaining(text) }),
    );
  });

  test('vectors of numbers: whole entries, nothing else', () => {
    expect(decoded('vector<short>', ['4000000a 0009 00000002 0001 ffff', EMPTY]).a).toEqual([[1, -1], []]);
    expect(decoded('vector<short>', ['4000000a 0009 00000002 0001 ffff', EMPTY], true).a).toEqual([[1, -1], []]);
    const wrong = [
      '4000000a 0009 00000003 0001 ffff',
      '4000000a 4009 00000002 0001 ffff',
      '4000 0009',
      '40000009 0009 00000002 0001 ffff',
    ];
    for (const entry of wrong) expect(() => decoded('vector<short>', [entry])).toThrow(ColweaveError);
  });

  test('nested vectors, strings, objects by checksum, objects stored member by member', () => {
    expect(decoded('vector<vector<char>>', ['4000000f 0009 00000002 00000001 41 00000000']).a).toEqual([[[65], []]]);
    expect(decoded('vector<string>', ['40000009 0009 00000002 01 78 00', EMPTY]).a).toEqual([['x', ''], []]);
    const by = decoded('vector<ID>', ['40000018 0009 00000001 4000000e 0000 000000d2 00000007 00000008']);
    expect(by).toEqual({ 'a.run': [[7]], 'a.event': [[8n]] });
    const memberwise = decoded('vector<ID>', ['40000018 4009 000a 00000002 00000001 00000002 00000003 00000004']);
    expect(memberwise).toEqual({ 'a.run': [[1, 2]], 'a.event': [[3n, 4n]] });
  });

  test('what cannot be compiled says why', () => {
    const why = (type: string, classes?: Classes) => {
      try {
        compiled(type, classes);
      } catch (problem) {
        return (problem as { reason: string }).reason;
      }
      return undefined;
    };
    expect(why('vector<Unknown>')).toBe('the file does not describe class Unknown');
    expect(why('vector<Track*>')).toBe('pointers cannot be followed');
    expect(why('bitset<8>')).toBe('bit sets cannot be decoded');
    const loop: ClassInfo = {
      name: 'Loop',
      version: 1,
      checksum: 1,
      elements: [element('inner', 300, 'vector<Loop>')],
    };
    expect(why('vector<Loop>', new Map([['Loop', [loop]]]))).toBe('its classes hold each other without end');
    const chain = Array.from({ length: 20 }, (_, i): ClassInfo => {
      const elements = ['a', 'b'].map((name) => element(name, 62, `C${i + 1}`));
      return { name: `C${i}`, version: 1, checksum: 1, elements: i < 19 ? elements : [element('x', 3, 'int')] };
    });
    expect(why('C0', new Map(chain.map((info) => [info.name, [info]])))).toBe('its classes have too many members');
    const clash: ClassInfo = {
      name: 'C',
      version: 1,
      checksum: 1,
      elements: [element('x', 3, 'int'), element('x', 3, 'int')],
    };
    expect(why('vector<C>', new Map([['C', [clash]]]))).toBe('two members are called a.x');
  });

  test('names of types', () => {
    expect(parseTypeName('std::vector<std::pair<int, float> >')).toEqual({ kind: 'sequence', item: 'pair<int,float>' });
    expect(parseTypeName('map<int,vector<float> >')).toMatchObject({ kind: 'map', key: 'int', value: 'vector<float>' });
    expect(parseTypeName('unsigned long')).toEqual({ kind: 'basic', dtype: 'u64' });
  });

  test('ranges of Double32_t and Float16_t', () => {
    expect(packingOf('', false)).toEqual({ kind: 'float' });
    expect(packingOf('', true)).toEqual({ kind: 'truncated', bits: 12 });
    expect(packingOf('[0,0,10]', false)).toEqual({ kind: 'truncated', bits: 10 });
    expect(packingOf('energy [0, 100, 20] in GeV', false)).toEqual({ kind: 'range', low: 0, factor: 2 ** 20 / 100 });
    expect(packingOf('[-pi,pi]', false)).toEqual({ kind: 'range', low: -Math.PI, factor: 0xffffffff / (2 * Math.PI) });
    expect(packingOf('[0,nonsense]', false)).toBeUndefined();
  });

  test('descriptions of classes are checked', () => {
    expect(() => collectClasses([{ _typename: 'TStreamerInfo', fName: 'X' }])).toThrow(ColweaveError);
    expect(collectClasses([{ _typename: 'TList' }, null]).size).toBe(0);
  });
});
