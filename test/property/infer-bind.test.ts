// Tensors of any model over any events equal what nested loops over events, objects and items make of them.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bindBlock } from '../../src/infer/bind.ts';
import { bindModel } from '../../src/infer/bind-plan.ts';
import type { Model, ModelInput } from '../../src/infer/model.ts';
import { columnOf, fieldOf, type Given, valuesOf } from '../unit/infer-columns.ts';

type ValueOf<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Value> ? Value : never;

interface Jet {
  readonly pt: number;
  readonly id: number;
  readonly tracks: readonly number[];
}
interface Pair {
  readonly index: number;
  readonly group: number;
  readonly weight: number;
}
interface Event {
  readonly met: number;
  readonly npv: number;
  readonly jets: readonly Jet[];
  readonly pf: readonly number[];
  readonly pairs: readonly Pair[];
}

const float = fc.oneof(
  { weight: 5, arbitrary: fc.float({ noDefaultInfinity: true, noNaN: true, min: -1000, max: 1000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 1, Number.NaN, Number.POSITIVE_INFINITY) },
);
const event: fc.Arbitrary<Event> = fc
  .record({
    met: float,
    npv: fc.nat(255),
    jets: fc.array(
      fc.record({ pt: float, id: fc.integer({ min: -5, max: 5 }), tracks: fc.array(float, { maxLength: 4 }) }),
      {
        maxLength: 4,
      },
    ),
    pf: fc.array(float, { maxLength: 6 }),
  })
  .chain((rest) =>
    fc
      .array(
        fc.record({
          index: fc.integer({ min: -1, max: rest.pf.length - 1 }),
          group: fc.integer({ min: -1, max: rest.jets.length - 1 }),
          weight: float,
        }),
        { maxLength: 8 },
      )
      .map((pairs) => ({ ...rest, pairs })),
  );

const transform = fc.record(
  {
    log: fc.constantFrom('ln' as const, 'log1p' as const),
    scale: float,
    shift: float,
    clip: fc.constant([-2, 30] as const),
  },
  { requiredKeys: [] },
);
const padding = fc.record({
  pad: fc.integer({ min: 1, max: 5 }),
  fill: fc.constantFrom(0, -99),
  columnsFirst: fc.boolean(),
  ascending: fc.option(fc.boolean()),
});

function columnsOf(events: readonly Event[]) {
  const make = (dtype: Given['dtype'], depth: number, of: (event: Event) => unknown): readonly [Given, number] => [
    { dtype, rows: events.map(of) as Given['rows'] },
    depth,
  ];
  return {
    met: make('f32', 0, ({ met }) => met),
    npv: make('u8', 0, ({ npv }) => npv),
    nJet: make('u32', 0, ({ jets }) => jets.length),
    Jet_pt: make('f32', 1, ({ jets }) => jets.map(({ pt }) => pt)),
    Jet_id: make('i32', 1, ({ jets }) => jets.map(({ id }) => id)),
    Jet_tracks: make('f32', 2, ({ jets }) => jets.map(({ tracks }) => tracks)),
    PF_pt: make('f32', 1, ({ pf }) => pf),
    JetPF_idx: make('i32', 1, ({ pairs }) => pairs.map(({ index }) => index)),
    JetPF_jet: make('i32', 1, ({ pairs }) => pairs.map(({ group }) => group)),
    JetPF_w: make('f32', 1, ({ pairs }) => pairs.map(({ weight }) => weight)),
  };
}

type Columns = ReturnType<typeof columnsOf>;

function tensors(events: readonly Event[], per: string, input: ModelInput, cut: number) {
  const model: Model = {
    name: 'm',
    version: '',
    servers: [],
    per,
    inputs: [input],
    outputs: [{ name: 'y', type: 'FP32', columns: ['y'], width: 1, softmax: false }],
    onNan: 'keep',
  };
  const columns = columnsOf(events);
  const fields = Object.entries(columns).map(([name, [column, depth]]) => fieldOf(name, column, depth));
  const bound = bindModel(model, { fields }, []);
  const block = bindBlock(
    bound,
    bound.read.map((name) => columnOf(...columns[name as keyof Columns])),
  );
  const middle = Math.min(cut, block.rows);
  const parts = [block.tensors({ start: 0, end: middle }), block.tensors({ start: middle, end: block.rows })];
  return parts[0]!.map((first, t) => [...valuesOf(first), ...valuesOf(parts[1]![t]!)]);
}

function changed(value: number, { log, scale, shift, clip }: ValueOf<typeof transform>): number {
  let out = log === 'ln' ? Math.log(value) : log === 'log1p' ? Math.log1p(value) : value;
  // what nobody asked for does nothing: adding 0 would make 0 of -0
  if (scale !== undefined || shift !== undefined) out = (scale ?? 1) * out + (shift ?? 0);
  if (clip !== undefined && out < clip[0]) out = clip[0];
  if (clip !== undefined && out > clip[1]) out = clip[1];
  return Math.fround(out);
}

/** One row: its items, in order, cut and filled. */
function paddedRow(
  items: readonly { readonly by: number; readonly values: readonly number[] }[],
  how: ValueOf<typeof padding>,
  width: number,
) {
  const sorted = how.ascending === null ? items : stableSort(items, how.ascending);
  const rows = Array.from({ length: how.pad }, (_, i) => sorted[i]?.values ?? Array(width).fill(how.fill));
  return how.columnsFirst ? Array.from({ length: width }, (_, c) => rows.map((row) => row[c]!)).flat() : rows.flat();
}

/** By insertion: an item goes before the first that it beats; NaN beats nothing. */
function stableSort<Item extends { readonly by: number }>(items: readonly Item[], ascending: boolean): Item[] {
  const out: Item[] = [];
  for (const item of items) {
    const at = out.findIndex(({ by }) =>
      Number.isNaN(by) ? !Number.isNaN(item.by) : ascending ? item.by < by : item.by > by,
    );
    out.splice(at < 0 ? out.length : at, 0, item);
  }
  return out;
}

const maskRow = (count: number, pad: number): number[] => Array.from({ length: pad }, (_, i) => Number(i < count));
const padded = (how: ValueOf<typeof padding>, by: string) => ({
  pad: how.pad,
  fill: how.fill,
  columnsFirst: how.columnsFirst,
  mask: { name: 'M', type: 'FP32' as const },
  ...(how.ascending === null ? {} : { order: { by, ascending: how.ascending } }),
});

const events = fc.array(event, { maxLength: 12 });
const cut = fc.nat(20);

test('single values of events', () => {
  fc.assert(
    fc.property(events, transform, cut, (all, change, at) => {
      fc.pre(all.length > 0);
      const columns = [{ name: 'met', ...change }, { name: 'npv' }];
      const [got] = tensors(all, '', { name: 'X', type: 'FP32', columns, fill: 0, columnsFirst: false }, at);
      expect(got).toEqual(all.flatMap(({ met, npv }) => [changed(met, change), npv]));
    }),
  );
});

test('lists of events', () => {
  fc.assert(
    fc.property(events, transform, padding, cut, (all, change, how, at) => {
      fc.pre(all.length > 0);
      const columns = [{ name: 'Jet_id', ...change }, { name: 'Jet_pt' }];
      const got = tensors(all, '', { name: 'X', type: 'FP32', columns, ...padded(how, 'Jet_pt') }, at);
      const items = all.map(({ jets }) => jets.map(({ pt, id }) => ({ by: pt, values: [changed(id, change), pt] })));
      expect(got).toEqual([
        items.flatMap((row) => paddedRow(row, how, 2)),
        items.flatMap((row) => maskRow(row.length, how.pad)),
      ]);
    }),
  );
});

test('objects, with values of their event and of their own', () => {
  fc.assert(
    fc.property(events, transform, cut, (all, change, at) => {
      fc.pre(all.length > 0);
      const columns = [{ name: 'met', ...change }, { name: 'Jet_pt' }, { name: 'Jet_id' }];
      const [got] = tensors(all, 'Jet', { name: 'X', type: 'FP32', columns, fill: 0, columnsFirst: false }, at);
      expect(got).toEqual(all.flatMap(({ met, jets }) => jets.flatMap(({ pt, id }) => [changed(met, change), pt, id])));
    }),
  );
});

test('lists of objects', () => {
  fc.assert(
    fc.property(events, padding, cut, (all, how, at) => {
      fc.pre(all.length > 0);
      const columns = [{ name: 'Jet_tracks' }];
      const got = tensors(all, 'Jet', { name: 'X', type: 'FP32', columns, ...padded(how, 'Jet_tracks') }, at);
      const rows = all.flatMap(({ jets }) =>
        jets.map(({ tracks }) => tracks.map((value) => ({ by: value, values: [value] }))),
      );
      expect(got).toEqual([
        rows.flatMap((row) => paddedRow(row, how, 1)),
        rows.flatMap((row) => maskRow(row.length, how.pad)),
      ]);
    }),
  );
});

test('constituents of objects', () => {
  fc.assert(
    fc.property(events, transform, padding, fc.boolean(), cut, (all, change, how, byPair, at) => {
      fc.pre(all.length > 0);
      const columns = [{ name: 'PF_pt', ...change }, { name: 'JetPF_w' }];
      const gather = { from: 'PF', index: 'JetPF_idx', group: 'JetPF_jet', of: 'Jet' };
      const order = byPair ? 'JetPF_w' : 'PF_pt';
      const got = tensors(all, 'Jet', { name: 'X', type: 'FP32', columns, gather, ...padded(how, order) }, at);
      const rows = all.flatMap(({ jets, pairs, pf }) =>
        jets.map((_, jet) =>
          pairs
            .filter(({ group, index }) => group === jet && index >= 0)
            .map(({ index, weight }) => ({
              by: byPair ? weight : pf[index]!,
              values: [changed(pf[index]!, change), weight],
            })),
        ),
      );
      expect(got).toEqual([
        rows.flatMap((row) => paddedRow(row, how, 2)),
        rows.flatMap((row) => maskRow(row.length, how.pad)),
      ]);
    }),
  );
});
