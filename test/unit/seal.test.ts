// Seals: known answers made in Python from the man page, sums over any cut and order, and every exchange seen.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeArena } from '../../src/core/arena.ts';
import { type Column, concatColumns, flatColumn, sliceColumn } from '../../src/core/column.ts';
import { allocate, bytesOf, type Dtype, wordsOf } from '../../src/core/dtype.ts';
import type { KeySpec, KeyTable } from '../../src/core/key-spec.ts';
import { type ColumnType, flat, list, utf8 } from '../../src/core/schema.ts';
import {
  addSeals,
  keyStates,
  NO_SEAL,
  type Seal,
  sealColumn,
  sealFromHex,
  sealHex,
  sealKeys,
  sealScope,
  sealTable,
} from '../../src/core/seal.ts';

const CMS: KeySpec = {
  name: 'cms',
  columns: [
    { name: 'run', words: 1 },
    { name: 'luminosityBlock', words: 1 },
    { name: 'event', words: 2 },
  ],
};

function keyTable(run: readonly number[], lumi: readonly number[], event: readonly bigint[]): KeyTable {
  const words = new Uint32Array(run.length * 4);
  run.forEach((value, i) => {
    words.set([value, lumi[i]!, Number(event[i]! & 0xffffffffn), Number(event[i]! >> 32n)], 4 * i);
  });
  return { spec: CMS, rows: run.length, stride: 4, words };
}

/** Rows of a vector file: floats as their bits, 64-bit values as text. */
type Row = null | boolean | number | string | readonly Row[];

function typeOf(name: string): ColumnType {
  const item = /^list<(.*)>$/.exec(name);
  if (item !== null) return list(typeOf(item[1]!));
  return name === 'utf8' ? utf8 : flat(name as Dtype);
}

function columnOf(type: ColumnType, rows: readonly Row[]): Column {
  const valid = rows.includes(null) ? Uint8Array.from(rows, (row) => (row === null ? 0 : 1)) : undefined;
  const { length } = rows;
  if (type.kind === 'flat') {
    const values = allocate(type.dtype, length);
    rows.forEach((row, i) => {
      if (row === null) return;
      if (type.dtype === 'f32') wordsOf(values)[i] = row as number;
      else if (type.dtype === 'f64') new BigUint64Array(values.buffer)[i] = BigInt(row as string);
      else if (values.BYTES_PER_ELEMENT === 8) (values as BigInt64Array)[i] = BigInt(row as string);
      else (values as Int32Array)[i] = Number(row);
    });
    return flatColumn(type.dtype, values, valid);
  }
  const parts = rows.map((row) =>
    type.kind === 'utf8' ? Buffer.from((row ?? '') as string) : ((row ?? []) as readonly Row[]),
  );
  const offsets = new Int32Array(length + 1);
  parts.forEach((part, i) => {
    offsets[i + 1] = offsets[i]! + (part as readonly Row[]).length;
  });
  if (type.kind === 'utf8') return { kind: 'utf8', length, offsets, bytes: Buffer.concat(parts as Buffer[]), valid };
  return { kind: 'list', length, offsets, items: columnOf(type.item, parts.flat() as Row[]), valid };
}

function sealOf(column: Column, keys: KeyTable, start = 0, rows?: Uint8Array): Seal {
  return sealColumn(column, sealScope(keyStates(keys, start, column.length), rows));
}

interface Vectors {
  readonly keys: { readonly run: number[]; readonly luminosityBlock: number[]; readonly event: string[] };
  readonly keySeal: string;
  readonly columns: readonly { name: string; type: string; rows: Row[]; present: number; seal: string }[];
}
const vectors = JSON.parse(readFileSync(new URL('seal-vectors.json', import.meta.url), 'utf8')) as Vectors;
const vectorKeys = keyTable(vectors.keys.run, vectors.keys.luminosityBlock, vectors.keys.event.map(BigInt));

describe('known answers', () => {
  it('keys', () => {
    expect(sealHex(sealKeys(keyStates(vectorKeys, 0, vectorKeys.rows)))).toBe(vectors.keySeal);
  });

  it.each(vectors.columns)('$name', ({ type, rows, present, seal }) => {
    const actual = sealOf(columnOf(typeOf(type), rows), vectorKeys);
    expect([actual.present, sealHex(actual)]).toEqual([present, seal]);
  });

  it('hex reads back', () => {
    const { seal, present } = vectors.columns[0]!;
    expect(sealHex(sealFromHex(seal, present))).toBe(seal);
  });

  it('a key column stored in one word or two gives the same states', () => {
    const wide: KeySpec = { name: 'wide', columns: [{ name: 'run', words: 2 }] };
    const narrow: KeySpec = { name: 'narrow', columns: [{ name: 'run', words: 1 }] };
    const one = keyStates({ spec: narrow, rows: 2, stride: 1, words: Uint32Array.of(5, 7) }, 0, 2);
    const two = keyStates({ spec: wide, rows: 2, stride: 2, words: Uint32Array.of(5, 0, 7, 0) }, 0, 2);
    expect([...one.a, ...one.b]).toEqual([...two.a, ...two.b]);
  });
});

describe('sums', () => {
  const cut = fc.integer({ min: 0, max: vectorKeys.rows });

  it('the seals of parts, cut anywhere, add up', () => {
    fc.assert(
      fc.property(fc.constantFrom(...vectors.columns), cut, ({ type, rows }, at) => {
        const column = columnOf(typeOf(type), rows);
        const head = sealOf(sliceColumn(column, 0, at), vectorKeys);
        const tail = sealOf(sliceColumn(column, at, column.length), vectorKeys, at);
        expect(sealHex(addSeals(head, tail))).toBe(sealHex(sealOf(column, vectorKeys)));
      }),
    );
  });

  it('rows in any order have the same seal', () => {
    const order = fc.shuffledSubarray([...Array(vectorKeys.rows).keys()], { minLength: vectorKeys.rows });
    fc.assert(
      fc.property(fc.constantFrom(...vectors.columns), order, ({ type, rows, seal }, places) => {
        const { run, luminosityBlock, event } = vectors.keys;
        const pick = <T>(values: readonly T[]) => places.map((place) => values[place]!);
        const keys = keyTable(pick(run), pick(luminosityBlock), pick(event).map(BigInt));
        expect(sealHex(sealOf(columnOf(typeOf(type), pick(rows)), keys))).toBe(seal);
      }),
    );
  });

  it('rows left out are as if they were not there', () => {
    const mask = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: vectorKeys.rows, maxLength: vectorKeys.rows });
    fc.assert(
      fc.property(fc.constantFrom(...vectors.columns), mask, ({ type, rows }, used) => {
        const column = columnOf(typeOf(type), rows);
        let sum = NO_SEAL;
        used.forEach((use, i) => {
          if (use === 1) sum = addSeals(sum, sealOf(sliceColumn(column, i, i + 1), vectorKeys, i));
        });
        expect(sealOf(column, vectorKeys, 0, Uint8Array.from(used))).toEqual(sum);
      }),
    );
  });

  it('columns that share offsets are sealed as if they did not', () => {
    const { rows } = vectors.columns.find(({ name }) => name === 'list of f32')!;
    const column = columnOf(list(flat('f32')), rows);
    const scope = sealScope(keyStates(vectorKeys, 0, vectorKeys.rows));
    const first = sealColumn(column, scope);
    expect(sealColumn({ ...column }, scope)).toEqual(first);
    const again = { ...concatColumns(list(flat('f32')), [column]), valid: Uint8Array.from(rows, () => 1) } as Column;
    expect(sealColumn(again, scope)).toEqual(first);
  });
});

describe('many rows at a time', () => {
  /** Rows of a column in pieces too small for the kernels. */
  function inPieces(column: Column, keys: KeyTable, rows: Uint8Array | undefined): Seal {
    let sum = NO_SEAL;
    for (let at = 0; at < column.length; at += 37) {
      const end = Math.min(column.length, at + 37);
      const scope = sealScope(keyStates(keys, at, end - at), rows?.subarray(at, end));
      sum = addSeals(sum, sealColumn(sliceColumn(column, at, end), scope));
    }
    return sum;
  }

  /** Big integers, row by row: states of a single row never come from a kernel. */
  function sumOfStates(keys: KeyTable, rows: Uint8Array | undefined): Seal {
    const sum = { present: 0, a: 0n, b: 0n };
    for (let row = 0; row < keys.rows; row++) {
      if (rows?.[row] === 0) continue;
      const { a, b } = keyStates(keys, row, 1);
      sum.present++;
      sum.a += BigInt(a[0]! >>> 0);
      sum.b += BigInt(b[0]! >>> 0);
    }
    return sum;
  }

  it('the kernels give what one row at a time gives, in their memory and out of it', () => {
    const arena = makeArena();
    let seed = 1;
    const random = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed;
    };
    for (const length of [0, 1, 3, 4, 63, 64, 65, 127, 1000, 40_003]) {
      const keys = keyTable(
        Array.from({ length }, () => random() & 3),
        Array.from({ length }, () => random() & 7),
        Array.from({ length }, () => (BigInt(random()) << 32n) | BigInt(random())),
      );
      const offsets = new Int32Array(length + 1);
      for (let i = 0; i < length; i++) offsets[i + 1] = offsets[i]! + (random() >>> 29);
      for (const place of [allocate, arena.take]) {
        arena.clear();
        const filled = (dtype: Dtype, count: number) => {
          const values = place(dtype, count);
          const bytes = bytesOf(values);
          for (let i = 0; i < bytes.length; i++) bytes[i] = random() >>> 24;
          return flatColumn(dtype, values);
        };
        const own = place('i32', length + 1) as Int32Array;
        own.set(offsets);
        const items = filled('f32', offsets[length]!);
        const flags = Uint8Array.from({ length }, () => random() >>> 31);
        for (const rows of [undefined, flags]) {
          const columns: Column[] = [
            filled('u32', length),
            filled('i16', length),
            filled('f64', length),
            { kind: 'list', length, offsets: own, items },
          ];
          const scope = sealScope(keyStates(keys, 0, length, place), rows, place);
          for (const column of columns) expect(sealColumn(column, scope)).toEqual(inPieces(column, keys, rows));
          expect(sealKeys(scope.states, rows)).toEqual(sumOfStates(keys, rows));
        }
        expect(sealTable(keys)).toEqual(sumOfStates(keys, undefined));
      }
    }
    arena.close();
  });
});
