// --where: what it means, its refusals, and its arrays against an evaluation event by event, which verify uses.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Column, flatColumn } from '../../src/core/column.ts';
import type { Dtype, Values } from '../../src/core/dtype.ts';
import { allocate } from '../../src/core/dtype.ts';
import { ColweaveError } from '../../src/core/errors.ts';
import { type Field, flat, list, type Schema, utf8 } from '../../src/core/schema.ts';
import { compileWhere } from '../../src/core/where/where.ts';
import { evaluateTerm } from '../../src/join/where/evaluate.ts';
import { selectEvents } from '../../src/join/where/select.ts';
import { valueAt } from '../../src/verify/selection.ts';
import { memoryDataset } from '../property/memory.ts';

const NAN = Number.NaN;
const DTYPES: readonly Dtype[] = ['bool', 'i8', 'u8', 'i16', 'u16', 'i32', 'u32', 'i64', 'u64', 'f32', 'f64'];
const EDGES: Readonly<Record<Dtype, readonly (number | bigint)[]>> = {
  bool: [0, 1],
  i8: [-128, -1, 0, 1, 2, 127],
  u8: [0, 1, 2, 3, 255],
  i16: [-32768, -1, 0, 1, 32767],
  u16: [0, 1, 2, 65535],
  i32: [-(2 ** 31), -1, 0, 1, 2, 2 ** 31 - 1],
  u32: [0, 1, 2, 2 ** 32 - 1],
  i64: [-(2n ** 63n), -(2n ** 53n) - 1n, -1n, 0n, 1n, 2n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n],
  u64: [0n, 1n, 2n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n],
  f32: [NAN, -1, -0, 0, 0.1, 1, 2, 30.1, 1e38, Number.POSITIVE_INFINITY],
  f64: [NAN, -1, -0, 0, 0.1, 1, 2, 30.1, 2 ** 53, Number.NEGATIVE_INFINITY],
};
const FIELDS: readonly Field[] = DTYPES.flatMap((dtype) => [
  { name: dtype, type: flat(dtype), nullable: true },
  { name: `Jet_${dtype}`, type: list(flat(dtype)), nullable: true },
]);
const SCHEMA: Schema = {
  fields: [
    ...FIELDS,
    { name: 'text', type: utf8, nullable: false },
    { name: 'Muon_pt', type: list(flat('f32')), nullable: false },
    { name: 'nest', type: list(list(flat('f32'))), nullable: false },
  ],
};

function arrayOf(dtype: Dtype, values: readonly (number | bigint)[]): Values {
  const out = allocate(dtype, values.length);
  for (const [i, value] of values.entries()) out[i] = value;
  return out;
}

/** Rows of random edges: one of five is null, lists of all columns have the same lengths. */
const table = fc.integer({ min: 0, max: 12 }).chain((rows) =>
  fc.record({
    rows: fc.constant(rows),
    seeds: fc.array(fc.nat(1e6), { minLength: 400, maxLength: 400 }),
    lengths: fc.array(fc.nat(3), { minLength: rows, maxLength: rows }),
    nulls: fc.boolean(),
  }),
);
type Table = typeof table extends fc.Arbitrary<infer T> ? T : never;

function columnsOf({ rows, seeds, lengths, nulls }: Table): ReadonlyMap<string, Column> {
  let next = 0;
  const draw = () => seeds[next++ % seeds.length]!;
  const pick = (dtype: Dtype) => EDGES[dtype][draw() % EDGES[dtype].length]!;
  const validity = () => (nulls ? Uint8Array.from({ length: rows }, () => (draw() % 5 === 0 ? 0 : 1)) : undefined);
  const out = new Map<string, Column>();
  for (const dtype of DTYPES) {
    out.set(
      dtype,
      flatColumn(
        dtype,
        arrayOf(
          dtype,
          Array.from({ length: rows }, () => pick(dtype)),
        ),
        validity(),
      ),
    );
    const offsets = new Int32Array(rows + 1);
    for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i]! + length;
    const items = flatColumn(
      dtype,
      arrayOf(
        dtype,
        Array.from({ length: offsets[rows]! }, () => pick(dtype)),
      ),
    );
    out.set(`Jet_${dtype}`, { kind: 'list', length: rows, offsets, items, valid: validity() });
  }
  return out;
}

const LITERALS = ['0', '1', '2', '30.1', '0.1', '1e3', '9007199254740993', '18446744073709551615', '0x10'];
const number = fc.letrec<{ flat: string; list: string }>((tie) => {
  const flats = DTYPES.filter((dtype) => dtype !== 'bool');
  const binary = (of: fc.Arbitrary<string>, other: fc.Arbitrary<string>) =>
    fc.tuple(of, fc.constantFrom('+', '-', '*', '/'), other).map(([a, op, b]) => `(${a} ${op} ${b})`);
  const lists = flats.map((dtype) => `Jet_${dtype}`);
  return {
    flat: fc.oneof(
      { maxDepth: 2 },
      fc.constantFrom(...flats),
      fc
        .constantFrom(...lists)
        .chain((name) => fc.constantFrom('len', 'n', 'sum', 'min', 'max').map((f) => `${f}(${name})`)),
      binary(tie('flat'), fc.oneof(tie('flat'), fc.constantFrom(...LITERALS.slice(1)))),
      tie('flat').map((of) => `-${of}`),
      tie('flat').map((of) => `abs(${of})`),
      fc.constantFrom('i8', 'u64', 'i64', 'u32').map((of) => `(${of} % 7)`),
    ),
    list: fc.oneof(
      { maxDepth: 2 },
      fc.constantFrom(...lists),
      binary(tie('list'), fc.oneof(tie('list'), tie('flat'))),
      tie('list').map((of) => `abs(${of})`),
    ),
  };
});
const comparison = (left: fc.Arbitrary<string>, right: fc.Arbitrary<string>) =>
  fc.tuple(left, fc.constantFrom('<', '<=', '>', '>=', '==', '!='), right).map(([a, op, b]) => `${a} ${op} ${b}`);
const condition = fc.letrec<{ flat: string; list: string }>((tie) => ({
  flat: fc.oneof(
    { maxDepth: 3 },
    comparison(number.flat, fc.oneof(number.flat, fc.constantFrom(...LITERALS))),
    fc.constant('bool'),
    tie('list').chain((of) => fc.constantFrom('any', 'all').map((f) => `${f}(${of})`)),
    tie('list').map((of) => `count(${of}) >= 2`),
    fc
      .tuple(tie('flat'), fc.constantFrom('and', 'or', '&&', '||'), tie('flat'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('flat').map((of) => `(not ${of})`),
  ),
  list: fc.oneof(
    { maxDepth: 2 },
    comparison(number.list, fc.oneof(number.list, number.flat, fc.constantFrom(...LITERALS))),
    fc.constant('Jet_bool'),
    fc.tuple(tie('list'), fc.constantFrom('and', 'or'), tie('list')).map(([a, op, b]) => `(${a} ${op} ${b})`),
  ),
}));

describe('a selection', () => {
  it('over arrays is what it is event by event', () => {
    fc.assert(
      fc.property(condition.flat, table, (text, drawn) => {
        const columns = columnsOf(drawn);
        const { terms } = compileWhere(text, SCHEMA);
        const refuse = () => {
          throw new Error('lengths are equal');
        };
        for (const { node } of terms) {
          const got = Array.from(
            evaluateTerm(node, { rows: drawn.rows, columns, constants: new Map(), refuse }),
            (truth) => truth === 1,
          );
          const right = Array.from({ length: drawn.rows }, (_, row) => valueAt(node, columns, row) === true);
          expect(got, text).toEqual(right);
        }
      }),
      { numRuns: 1500 },
    );
  });

  const one = (text: string, values: Readonly<Record<string, Column>>): readonly boolean[] => {
    const { terms } = compileWhere(text, SCHEMA);
    const rows = Object.values(values)[0]!.length;
    const columns = new Map(Object.entries(values));
    const refuse = (): never => expect.fail('lengths');
    return Array.from(
      evaluateTerm(terms[0]!.node, { rows, columns, constants: new Map(), refuse }),
      (truth) => truth === 1,
    );
  };

  it.each([
    ['u64 > 9007199254740992', { u64: flatColumn('u64', BigUint64Array.of(2n ** 53n, 2n ** 53n + 1n)) }, [false, true]],
    [
      'u64 == 18446744073709551615',
      { u64: flatColumn('u64', BigUint64Array.of(2n ** 64n - 1n, 2n ** 64n - 2n)) },
      [true, false],
    ],
    ['u32 - 2 < 0', { u32: flatColumn('u32', Uint32Array.of(1, 2)) }, [true, false]],
    ['u8 + u8 == 400', { u8: flatColumn('u8', Uint8Array.of(200, 100)) }, [true, false]],
    ['f32 == 0.1', { f32: flatColumn('f32', Float32Array.of(0.1, 0.2)) }, [true, false]],
    ['f64 == 0.1', { f64: flatColumn('f64', Float64Array.of(0.1, Math.fround(0.1))) }, [true, false]],
    ['f32 != f32', { f32: flatColumn('f32', Float32Array.of(NAN, 1)) }, [true, false]],
    ['not f32 > 0', { f32: flatColumn('f32', Float32Array.of(NAN, 1)) }, [true, false]],
    ['i32 / 2 == 0.5', { i32: flatColumn('i32', Int32Array.of(1, 2)) }, [true, false]],
    ['i32 % 3 == 1', { i32: flatColumn('i32', Int32Array.of(-2, 2)) }, [true, false]],
    ['bool == 1', { bool: flatColumn('bool', Uint8Array.of(255, 0)) }, [true, false]],
    ['bool == false', { bool: flatColumn('bool', Uint8Array.of(0, 2)) }, [true, false]],
    [
      'i32 > 0 or u8 > 0',
      { i32: flatColumn('i32', Int32Array.of(0, 0), Uint8Array.of(0, 0)), u8: flatColumn('u8', Uint8Array.of(1, 0)) },
      [true, false],
    ],
    ['not (i32 > 0)', { i32: flatColumn('i32', Int32Array.of(0, 0), Uint8Array.of(1, 0)) }, [true, false]],
  ] as const)('%s', (text, columns, right) => {
    expect(one(text, columns)).toEqual(right);
  });

  it.each([
    ['max(Jet_f32) > 0', 'no item is nothing', [false]],
    ['not (max(Jet_f32) > 0)', 'nothing is not false either', [false]],
    ['all(Jet_f32 > 0)', 'of no items', [true]],
    ['len(Jet_f32) == 0', 'of no items', [true]],
  ] as const)('%s: %s', (text, _why, right) => {
    const items = flatColumn('f32', new Float32Array(0));
    expect(one(text, { Jet_f32: { kind: 'list', length: 1, offsets: new Int32Array(2), items } })).toEqual(right);
  });

  it('names the terms of its cut flow as they were written', () => {
    const { terms } = compileWhere('(i32 > 0 and bool) and (u8 > 1 or u8 < 1) && not bool', SCHEMA);
    expect(terms.map(({ text }) => text)).toEqual(['i32 > 0', 'bool', '(u8 > 1 or u8 < 1)', 'not bool']);
  });

  it.each([
    ['', 0],
    ['i32 >', 5],
    ['i32 > 1 )', 8],
    ['(i32 > 1', 0],
    ['i3 > 1', 0],
    ['text == 1', 0],
    ['any(nest > 1)', 4],
    ['any(Jet_f32 > Muon_pt)', 4],
    ['i32', 0],
    ['Jet_f32 > 1', 0],
    ['1 > 2', 0],
    ['bool and i32', 9],
    ['i32 > 1 > 0', 8],
    ['!i32 > 1', 0],
    ['any(i32 > 1)', 4],
    ['len(i32) > 1', 4],
    ['f32 % 2 == 0', 0],
    ['i32 % i32 == 0', 6],
    ['i32 / 0 > 1', 0],
    ['foo(i32) > 1', 0],
    ['i32 = 1', 4],
    ['i32 > 1 & bool', 8],
    ['1e999 < f64', 0],
    [`${'('.repeat(200)}i32 > 1${')'.repeat(200)}`, 101],
    [`${'not '.repeat(5000)}bool`, 0],
  ] as const)('refuses %.40s', (text, at) => {
    try {
      compileWhere(text, SCHEMA);
      expect.fail('it was understood');
    } catch (error) {
      expect(error).toBeInstanceOf(ColweaveError);
      expect((error as ColweaveError).code).toBe('where/expression');
      expect((error as ColweaveError).details[1]?.indexOf('^')).toBe(at);
    }
  });

  it('ends in a coded error whatever the text is', () => {
    const words = fc.constantFrom(
      'i32',
      'Jet_f32',
      'bool',
      '(',
      ')',
      '>',
      '==',
      'and',
      'not',
      '!',
      '-',
      '1',
      '2.5',
      'any',
      'len',
      '%',
      ',',
      '`',
      '0x',
      '.',
      ' ',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words, { maxLength: 12 }).map((all) => all.join(' ')),
        ),
        (text) => {
          try {
            compileWhere(text, SCHEMA);
          } catch (error) {
            expect(error).toBeInstanceOf(ColweaveError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('names file and entry where lists that should go together differ in length', async () => {
    const listOf = (...lengths: number[]): Column => {
      const offsets = new Int32Array(lengths.length + 1);
      for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i]! + length;
      return {
        kind: 'list',
        length: lengths.length,
        offsets,
        items: flatColumn('f32', new Float32Array(offsets.at(-1)!)),
      };
    };
    const fields = ['Jet_a', 'Jet_b'].map((name): Field => ({ name, type: list(flat('f32')), nullable: false }));
    const file = (last: number) => ({ rows: 2, columns: { Jet_a: listOf(1, 2), Jet_b: listOf(1, last) } });
    const dataset = memoryDataset('primary', { fields }, [file(2), file(1)]);
    const where = compileWhere('any(Jet_a > Jet_b)', { fields });
    await expect(selectEvents(dataset, where, new AbortController().signal)).rejects.toMatchObject({
      code: 'where/value',
      where: ['primary1.root', 'entry 1'],
    });
  });
});
