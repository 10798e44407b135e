// Seals see every exchange between two events. COLWEAVE_EXCHANGES=1000000 tries that many a kind (npm test: 8,000).
import { describe, expect, it } from 'vitest';
import { type Column, flatColumn } from '../../src/core/column.ts';
import { allocate, type Dtype, wordsOf } from '../../src/core/dtype.ts';
import type { KeySpec } from '../../src/core/key-spec.ts';
import { type KeyStates, keyStates, sealColumn, sealHex, sealScope } from '../../src/core/seal.ts';

const EXCHANGES = Number(process.env.COLWEAVE_EXCHANGES ?? 8_000);
const SEED = Number(process.env.COLWEAVE_SEED ?? 20260101);
const EVENTS = 1 << 16;

/** mulberry32: the run is the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** As in data: one run, lumi blocks of 137 events, event numbers in sequence. */
function statesOfEvents(): KeyStates {
  const spec: KeySpec = {
    name: 'cms',
    columns: [
      { name: 'run', words: 1 },
      { name: 'luminosityBlock', words: 1 },
      { name: 'event', words: 2 },
    ],
  };
  const words = new Uint32Array(EVENTS * 4);
  for (let i = 0; i < EVENTS; i++) words.set([1, 1 + Math.floor(i / 137), 1000 + i, 0], 4 * i);
  return keyStates({ spec, rows: EVENTS, stride: 4, words }, 0, EVENTS);
}
const states = statesOfEvents();

/** The sealed rows first, second of a column of two rows, said to be the events i and j. */
function sealTwo(column: Column, i: number, j: number): string {
  const a = Int32Array.of(states.a[i]!, states.a[j]!);
  const b = Int32Array.of(states.b[i]!, states.b[j]!);
  return sealHex(sealColumn(column, sealScope({ a, b })));
}

/** The words of a value, as a row of a flat column. */
type Words = readonly number[];
type Make<Row> = (rows: readonly Row[]) => Column;

function flatOf(dtype: Dtype): Make<Words> {
  return (rows) => {
    const values = allocate(dtype, rows.length);
    if (values.BYTES_PER_ELEMENT >= 4) wordsOf(values).set(rows.flat());
    else (values as Uint8Array).set(rows.flat());
    return flatColumn(dtype, values);
  };
}

function listOf(items: Make<Words>): Make<readonly Words[]> {
  return (rows) => {
    const offsets = new Int32Array(rows.length + 1);
    rows.forEach((row, i) => {
      offsets[i + 1] = offsets[i]! + row.length;
    });
    return { kind: 'list', length: rows.length, offsets, items: items(rows.flat()) };
  };
}

function utf8Of(rows: readonly Words[]): Column {
  const offsets = Int32Array.of(0, rows[0]!.length, rows[0]!.length + rows[1]!.length);
  return { kind: 'utf8', length: 2, offsets, bytes: Uint8Array.from(rows.flat()) };
}

/** Tries `EXCHANGES` changes of two rows that are really different; gives how many seals stayed the same. */
function missed<Row>(
  make: Make<Row>,
  draw: (random: () => number) => Row,
  change: (first: Row, second: Row) => readonly [Row, Row] = (first, second) => [second, first],
): number {
  const random = randomOf(SEED);
  let tried = 0;
  let same = 0;
  while (tried < EXCHANGES) {
    const i = random() % EVENTS;
    const j = tried % 2 === 0 ? (i + 1) % EVENTS : random() % EVENTS;
    const before = [draw(random), draw(random)] as const;
    const after = change(...before);
    if (i === j || JSON.stringify(before) === JSON.stringify(after)) continue;
    tried++;
    if (sealTwo(make(before), i, j) === sealTwo(make(after), i, j)) same++;
  }
  return same;
}

/** The last item of the first event becomes the first of the second. */
function moveBoundary(first: readonly Words[], second: readonly Words[]): readonly [Words[], Words[]] {
  if (first.length === 0) return [[...first], [...second]];
  return [first.slice(0, -1), [first.at(-1)!, ...second]];
}

const float = (random: () => number): Words => [0x3f800000 | (random() & 0x7fffff)];
const coarse = (random: () => number): Words => [(0x41000000 + (random() & 0x1ffffff)) & ~0x1fff];
const drawList =
  (draw: (random: () => number) => Words) =>
  (random: () => number): readonly Words[] =>
    Array.from({ length: random() % 4 }, () => draw(random));

describe(`${EXCHANGES} random changes a kind, seed ${SEED}: none is missed`, () => {
  const bit = (random: () => number): Words => [random() & 1];
  it.each([
    ['bool', flatOf('bool'), bit],
    ['u8', flatOf('u8'), (random: () => number): Words => [random() & 0xff]],
    ['i16', flatOf('i16'), (random: () => number): Words => [random() % 200]],
    ['u32 counters', flatOf('u32'), (random: () => number): Words => [random() % 7]],
    ['f32', flatOf('f32'), float],
    ['f32 with 13 zero low bits', flatOf('f32'), coarse],
    [
      'f32 of either sign',
      flatOf('f32'),
      (random: () => number): Words => [0x3f800000 | (random() & 0x80000000)].map((w) => w >>> 0),
    ],
    [
      'words that differ by 0x80008000',
      flatOf('u32'),
      (random: () => number): Words => [random() & 1 ? 0x80008000 : 0],
    ],
    [
      'f64 made of f32',
      flatOf('f64'),
      (random: () => number): Words => [random() & 0xe0000000, 0x3ff00000 | (random() & 0xfffff)],
    ],
    ['u64', flatOf('u64'), (random: () => number): Words => [random(), random() & 0xff]],
    ['u64 that differ in bit 63', flatOf('u64'), (random: () => number): Words => [5, random() & 1 ? 0x80000000 : 0]],
    ['utf8', utf8Of, (random: () => number): Words => Array.from({ length: random() % 6 }, () => 97 + (random() % 2))],
  ] as const)('%s', (_, make, draw) => {
    expect(missed<Words>(make, draw)).toBe(0);
  });

  it.each([
    ['rows of list<f32>', flatOf('f32'), coarse],
    ['rows of list<bool>', flatOf('bool'), bit],
  ] as const)('%s', (_, make, draw) => {
    expect(missed(listOf(make), drawList(draw))).toBe(0);
  });

  it.each([
    ['f32', flatOf('f32'), coarse],
    ['bool', flatOf('bool'), bit],
    ['constant u8', flatOf('u8'), (): Words => [1]],
  ] as const)('an item moved across an event boundary, list<%s>', (_, make, draw) => {
    expect(missed(listOf(make), drawList(draw), moveBoundary)).toBe(0);
  });

  it('items of one event in another order', () => {
    const turn = (first: readonly Words[], second: readonly Words[]) => [[...first].reverse(), second] as const;
    expect(missed(listOf(flatOf('bool')), drawList(bit), turn)).toBe(0);
  });
});

describe(`every exchange of two given values between any two of ${EVENTS} events is seen`, () => {
  it.each([
    ['false, true', 0, 1],
    ['0, 255', 0, 255],
    ['+0, -0', 0, 0x80000000],
    ['1, -1', 0x3f800000, 0xbf800000],
    ['1, 1 + 2^-10', 0x3f800000, 0x3f802000],
    ['a bit that the first multiplication leaves alone', 0, 0x80008000],
  ])('%s', (_, one, two) => {
    // An exchange is missed if and only if the two events have the same difference of terms, in both lanes.
    const differences = new Set<string>();
    for (let i = 0; i < EVENTS; i++) {
      const scope = () => sealScope({ a: states.a.subarray(i, i + 1), b: states.b.subarray(i, i + 1) });
      const first = sealColumn(flatColumn('u32', Uint32Array.of(one)), scope());
      const second = sealColumn(flatColumn('u32', Uint32Array.of(two)), scope());
      differences.add(`${second.a - first.a} ${second.b - first.b}`);
    }
    expect(differences.size).toBe(EVENTS);
  });
});

it('a column that is constant but for one event, moved down by one row', () => {
  const random = randomOf(SEED);
  for (let n = 0; n < 1000; n++) {
    const values = new Uint8Array(64).fill(1);
    values[random() % 63] = 2;
    const shifted = new Uint8Array(64).fill(1);
    shifted.set(values.subarray(0, 63), 1);
    const start = random() % (EVENTS - 64);
    const scope = () => sealScope({ a: states.a.subarray(start, start + 64), b: states.b.subarray(start, start + 64) });
    expect(sealHex(sealColumn(flatColumn('u8', values), scope()))).not.toBe(
      sealHex(sealColumn(flatColumn('u8', shifted), scope())),
    );
  }
});
