// The flow of a run against askers that answer late, out of order, wrong, or not at all: every row once, in order, or nothing.
import { describe, expect, it } from 'vitest';
import type { FlatColumn } from '../../src/core/column.ts';
import type { Asker } from '../../src/infer/ask.ts';
import { cutRows, planBatches, planGroups } from '../../src/infer/batch-plan.ts';
import { bindModel } from '../../src/infer/bind-plan.ts';
import { parseModel } from '../../src/infer/model-file.ts';
import { type DoneGroup, type InferRun, inferGroups } from '../../src/infer/run.ts';
import type { InferRequest, InferResponse, ModelInfo } from '../../src/infer/types.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import { memoryDataset } from '../property/memory.ts';
import { columnOf, type Given, given, schemaOf } from './infer-columns.ts';

const INFO: ModelInfo = {
  name: 'm',
  version: '7',
  versions: ['7'],
  platform: '',
  inputs: [],
  outputs: [],
  maxBatchSize: 1000,
  configHash: undefined,
};
const EVENTS = 1000;
const PER_EVENT = 'model: m\ninputs: {X: {columns: [a, b]}}\noutputs: {y: y}\n';
const PER_JET = 'model: m\nper: Jet\ninputs: {X: {columns: [Jet_pt, a]}}\noutputs: {y: Jet_y}\n';

/** Values that name their row, so that a row in another place shows. */
function columns(): Record<string, Given> {
  const all = Array.from({ length: EVENTS }, (_, i) => i);
  return {
    run: given(
      'u32',
      all.map(() => 1),
    ),
    luminosityBlock: given(
      'u32',
      all.map((i) => 1 + Math.floor(i / 100)),
    ),
    event: given(
      'u64',
      all.map((i) => BigInt(i) + 2n ** 53n),
    ),
    a: given('f32', all),
    b: given(
      'f32',
      all.map((i) => 10000 * i),
    ),
    Jet_pt: given(
      'f32',
      all.map((i) => Array.from({ length: i % 4 }, (_, jet) => 10 * i + jet)),
    ),
  };
}

type Answering = (request: InferRequest, call: number) => Promise<InferResponse> | InferResponse;

/** The first value of each row comes back: whoever mixes rows is seen. */
function echo({ id, model, version, inputs }: InferRequest): InferResponse {
  const { bytes, shape } = inputs[0]!;
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const width = values.length / shape[0]!;
  const out = Float32Array.from({ length: shape[0]! }, (_, row) => values[row * width]!);
  return {
    id,
    model,
    version,
    outputs: [{ name: 'y', type: 'FP32', shape: [shape[0]!, 1], bytes: new Uint8Array(out.buffer) }],
  };
}

function asker(answer: Answering, width = 4): Asker & { readonly asked: InferRequest[]; most: number } {
  const asked: InferRequest[] = [];
  let flying = 0;
  const self = {
    info: INFO,
    asked,
    most: 0,
    room: async () => {
      while (flying >= width) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    ask: async (request: InferRequest) => {
      asked.push(request);
      flying++;
      self.most = Math.max(self.most, flying);
      try {
        return await answer(request, asked.length - 1);
      } finally {
        flying--;
      }
    },
  };
  return self;
}

function run(
  yaml: string,
  answerer: Asker,
  more: Partial<InferRun> & { readonly batch?: number; readonly perEvent?: boolean } = {},
) {
  const all = columns();
  const schema = schemaOf(all);
  const made = Object.fromEntries(Object.entries(all).map(([name, column]) => [name, columnOf(column)]));
  const dataset = memoryDataset('primary', schema, [{ columns: made, rows: EVENTS }]);
  const bound = bindModel(parseModel('m.yaml', yaml), schema, []);
  const limits = { rows: more.batch ?? 30, bytes: 2 ** 20, perEvent: more.perEvent ?? false };
  const groups = [
    {
      start: 0,
      end: 512,
      blocks: [
        { start: 0, end: 256 },
        { start: 256, end: 512 },
      ],
    },
    {
      start: 512,
      end: EVENTS,
      blocks: [
        { start: 512, end: 768 },
        { start: 768, end: EVENTS },
      ],
    },
  ];
  return inferGroups({
    dataset,
    key: keySpecFor('cms', schema, []),
    bound,
    plan: planBatches(bound, limits, INFO),
    groups,
    asker: answerer,
    emit: () => {},
    signal: new AbortController().signal,
    ...more,
  });
}

async function collect(groups: AsyncGenerator<DoneGroup>): Promise<DoneGroup[]> {
  const out: DoneGroup[] = [];
  for await (const group of groups) out.push(group);
  return out;
}

/** Scores by event, lists as arrays. */
function scores(groups: readonly DoneGroup[]): (number | number[])[] {
  return groups.flatMap(({ columns: [column] }): (number | number[])[] => {
    if (column!.kind === 'flat') return [...(column!.values as Float32Array)];
    if (column!.kind === 'utf8') throw new Error('no scores');
    const { offsets, items, length } = column!;
    const { values } = items as FlatColumn;
    return Array.from({ length }, (_, i) => [...(values as Float32Array).slice(offsets[i], offsets[i + 1])]);
  });
}

const random = (call: number) => ((call * 7919) % 13) / 2;
const late: Answering = async (request, call) => {
  await new Promise((resolve) => setTimeout(resolve, random(call)));
  return echo(request);
};
const EXPECTED = Array.from({ length: EVENTS }, (_, i) => i);
const JETS = EXPECTED.map((i) => Array.from({ length: i % 4 }, (_, jet) => 10 * i + jet));

describe('every row gets its own answer', () => {
  it('whatever order answers come in, with several on their way', async () => {
    const answerer = asker(late);
    const done = await collect(run(PER_EVENT, answerer));
    expect(scores(done)).toEqual(EXPECTED);
    expect(answerer.most).toBe(4);
    expect(answerer.asked).toHaveLength(35);
    expect(done.map(({ keys, requests }) => [keys.rows, requests])).toEqual([
      [512, 18],
      [488, 17],
    ]);
    expect(done[1]!.keys.words.slice(2, 4)).toEqual(Uint32Array.of(512, 2 ** 21));
    expect(new Set(answerer.asked.map(({ id }) => id)).size).toBe(35);
    expect(new Set(answerer.asked.map(({ version }) => version))).toEqual(new Set(['7']));
  });

  it('objects as lists of their events', async () => {
    const done = await collect(run(PER_JET, asker(late)));
    expect(scores(done)).toEqual(JETS);
  });

  it('one event a request, events without objects in none', async () => {
    const flat = asker(late, 50);
    expect(scores(await collect(run(PER_EVENT, flat, { perEvent: true })))).toEqual(EXPECTED);
    expect(flat.asked).toHaveLength(EVENTS);
    const jets = asker(late, 50);
    expect(scores(await collect(run(PER_JET, jets, { perEvent: true })))).toEqual(JETS);
    expect(jets.asked.map(({ inputs }) => inputs[0]!.shape[0])).toEqual(
      JETS.map(({ length }) => length).filter((rows) => rows > 0),
    );
  });

  it('groups of an earlier run are not asked for again', async () => {
    const before = await collect(run(PER_EVENT, asker(late)));
    const answerer = asker(late);
    const finished: InferRun['finished'] = ({ start }) => (start === 0 ? before[0] : undefined);
    const done = await collect(run(PER_EVENT, answerer, { finished }));
    expect(scores(done)).toEqual(EXPECTED);
    expect(answerer.asked).toHaveLength(17);
    expect(done.map(({ resumed }) => resumed)).toEqual([true, false]);
  });
});

describe('an answer that is not one stops the run', () => {
  const wrong = (change: (response: InferResponse) => InferResponse): Answering => {
    return (request, call) => (call === 5 ? change(echo(request)) : echo(request));
  };
  const output = (of: (tensor: InferResponse['outputs'][number]) => Partial<InferResponse['outputs'][number]>) =>
    wrong((response) => ({ ...response, outputs: response.outputs.map((tensor) => ({ ...tensor, ...of(tensor) })) }));
  const cases: [what: string, answer: Answering, message: RegExp][] = [
    ['fewer rows', output(({ bytes }) => ({ shape: [29, 1], bytes: bytes.subarray(4) })), /29 rows came back for 30/],
    ['another type', output(() => ({ type: 'INT32' })), /INT32 came/],
    [
      'more values a row',
      output(({ bytes }) => ({ shape: [30, 2], bytes: new Uint8Array(2 * bytes.length) })),
      /2 values a row/,
    ],
    ['fewer bytes', output(({ bytes }) => ({ bytes: bytes.subarray(4) })), /116 bytes came/],
    ['no such output', wrong((response) => ({ ...response, outputs: [] })), /not in the answer/],
    ['a failure', (request, call) => (call === 5 ? Promise.reject(new Error('gone')) : echo(request)), /gone/],
  ];
  it.each(cases)('%s', async (_, answer, message) => {
    const answerer = asker(answer);
    await expect(collect(run(PER_EVENT, answerer))).rejects.toThrow(message);
    expect(answerer.asked.length).toBeLessThan(20); // the rest is not asked for
  });

  it('an interrupted run ends with the reason', async () => {
    const stop = new AbortController();
    const answerer = asker(async (request, call) => {
      if (call === 3) stop.abort(new Error('interrupted'));
      return echo(request);
    });
    await expect(collect(run(PER_EVENT, answerer, { signal: stop.signal }))).rejects.toThrow('interrupted');
  });
});

describe('what is not finite', () => {
  const bad: Answering = (request) => {
    const response = echo(request);
    const values = new Float32Array(response.outputs[0]!.bytes.buffer);
    values.forEach((value, i) => {
      if (value % 10 === 3) values[i] = value % 20 === 3 ? Number.NaN : Number.NEGATIVE_INFINITY;
    });
    return response;
  };
  const counted = (done: readonly DoneGroup[]) => done.reduce((sum, { nonFinite }) => sum + nonFinite[0]!, 0);

  it('is counted and kept', async () => {
    const done = await collect(run(PER_EVENT, asker(bad)));
    expect(counted(done)).toBe(100);
    expect(scores(done).slice(2, 5)).toEqual([2, Number.NaN, 4]);
  });

  it('becomes null, or stops the run', async () => {
    const done = await collect(run(`${PER_EVENT}on-nan: null\n`, asker(bad)));
    expect(counted(done)).toBe(100);
    const [column] = done[0]!.columns;
    expect([...column!.valid!.slice(0, 15)]).toEqual([1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1]);
    await expect(collect(run(`${PER_EVENT}on-nan: fail\n`, asker(bad)))).rejects.toMatchObject({
      code: 'infer/not-finite',
    });
  });
});

describe('plans', () => {
  const bound = bindModel(parseModel('m.yaml', PER_EVENT), schemaOf(columns()), []);

  it('a batch holds what rows, bytes and the model allow', () => {
    const rows = (limits: { rows?: number; bytes?: number }, info: ModelInfo | undefined = undefined) =>
      planBatches(bound, { bytes: 2 ** 24, perEvent: false, ...limits }, info).rows;
    expect(rows({})).toBe(8192);
    expect(rows({ rows: 20000 })).toBe(20000);
    expect(rows({}, INFO)).toBe(1000);
    expect(rows({ bytes: 80 })).toBe(10);
    expect(rows({ bytes: 1 })).toBe(1);
    expect(rows({}, { ...INFO, maxBatchSize: 0, inputs: [{ name: 'X', type: 'FP32', shape: [16, 2] }] })).toBe(16);
    expect(rows({}, { ...INFO, maxBatchSize: 0, inputs: [{ name: 'X', type: 'FP32', shape: [-1, 2] }] })).toBe(8192);
  });

  it('events are cut without a rest, and no request is empty', () => {
    const { groups } = planGroups({ events: 300_000, readBytes: 100, outBytes: 20 });
    const flat = groups.flatMap(({ blocks }) => blocks);
    expect(flat[0]).toEqual({ start: 0, end: 32768 });
    flat.forEach(({ start, end }, i) => {
      expect(start).toBe(i === 0 ? 0 : flat[i - 1]!.end);
      expect(end).toBeGreaterThan(start);
    });
    expect(flat.at(-1)!.end).toBe(300_000);
    expect(planGroups({ events: 0, readBytes: 0, outBytes: 20 }).groups).toEqual([]);
    expect(cutRows(0, { rows: 10, bytes: 1, perEvent: false }, { events: 5 })).toEqual([]);
  });
});
