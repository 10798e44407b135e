// The command with a double of a server at the other end: outputs that verify and join, receipts, resuming, refusals.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { runInfer } from '../../src/command/infer.ts';
import type { InferOptions, InferReport } from '../../src/command/infer-types.ts';
import { runJoin } from '../../src/command/join.ts';
import type { JoinOptions, JoinReport } from '../../src/command/types.ts';
import { runVerify } from '../../src/command/verify.ts';
import type { FlatColumn, ListColumn } from '../../src/core/column.ts';
import type { WorkEvent } from '../../src/core/events.ts';
import type { Receipt } from '../../src/core/receipt.ts';
import { openSource } from '../../src/source/registry.ts';
import { type Fake, fakeHttp, scoreOf } from './fake-kserve.ts';

const folder = mkdtempSync(join(tmpdir(), 'colweave-infer-'));
const NANO = [1, 2, 3].map((n) => `fixtures/nano_${n}.root`);
const fakes: Fake[] = [];
const stores: Server[] = [];
afterEach(async () => {
  await Promise.all(fakes.splice(0).map((fake) => fake.kill().catch(() => {})));
});
afterAll(() => {
  for (const store of stores) store.close().closeAllConnections();
  rmSync(folder, { recursive: true });
});

async function fake(): Promise<Fake> {
  const made = await fakeHttp();
  fakes.push(made);
  return made;
}

function modelFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const EVENTS = modelFile(
  'events.yaml',
  'model: double\ninputs: {X: {columns: [MET_pt, MET_phi]}}\noutputs: {Y: score}\n',
);
const JETS = modelFile(
  'jets.yaml',
  'model: double\nper: Jet\ninputs: {X: {columns: [Jet_pt, MET_pt]}}\noutputs: {Y: Jet_score}\n',
);

let serial = 0;
async function infer(servers: readonly Fake[], more: Partial<InferOptions> = {}) {
  const output = join(folder, `out${serial++}.parquet`);
  const options: InferOptions = {
    files: NANO,
    model: EVENTS,
    servers: servers.map(({ url }) => url),
    schema: 'strict',
    batchRows: 32,
    perEvent: false,
    spotCheck: 0,
    fallback: false,
    patienceSeconds: 1,
    output,
    compression: 'zstd',
    dryRun: false,
    resume: false,
    stats: false,
    force: false,
    redo: false,
    receipt: false,
    ...more,
  };
  const events: WorkEvent[] = [];
  const context = { emit: (event: WorkEvent) => void events.push(event), signal: new AbortController().signal };
  const report = (await runInfer(options, context)) as InferReport;
  return { report, events, output: options.output! };
}

async function columns(path: string, names: readonly string[]) {
  const file = await openSource(path, {});
  try {
    return await file.read(names, 0, file.descriptor.rows);
  } finally {
    await file.close();
  }
}

/** Of all input files, one after the other. */
async function inputs(name: string): Promise<(number | number[])[]> {
  const all: (number | number[])[] = [];
  for (const path of NANO) {
    const [column] = await columns(path, [name]);
    all.push(...plain(column!));
  }
  return all;
}

function plain(column: NonNullable<Awaited<ReturnType<typeof columns>>[number]>): (number | number[])[] {
  if (column.kind === 'flat') return [...(column.values as Float32Array)];
  const { offsets, items, length } = column as ListColumn;
  const values = [...((items as FlatColumn).values as Float32Array)];
  return Array.from({ length }, (_, i) => values.slice(offsets[i], offsets[i + 1]));
}

async function receiptOf(path: string): Promise<Receipt> {
  return JSON.parse(readFileSync(`${path}.receipt.json`, 'utf8')) as Receipt;
}

async function verdict(path: string, against: readonly string[] = []): Promise<string> {
  const context = { emit: () => {}, signal: new AbortController().signal };
  return (await runVerify({ outputs: [path], against }, context)).files[0]!.verdict;
}

describe('scores', () => {
  it('are on their own events, verified, with what made them in the receipt', async () => {
    const server = await fake();
    const { report, output } = await infer([server], { receipt: true, spotCheck: 0.1 });
    const met = (await inputs('MET_pt')) as number[];
    const [score] = await columns(output, ['score']);
    expect(plain(score!)).toEqual(met.map((value) => scoreOf(value, '1')));
    expect(await verdict(output, NANO)).toBe('verified');
    expect(report.done).toMatchObject({
      protocol: 'http',
      version: '1',
      rows: 300,
      requests: 10,
      resumed: 0,
      fallbackRows: 0,
    });
    expect(report.done!.spotRows).toBeGreaterThan(0);
    const { spec, output: written, sources } = await receiptOf(output);
    expect(spec.infer).toMatchObject({
      model: 'double',
      version: '1',
      configHash: report.done!.configHash,
      protocol: 'http',
      servers: [server.url],
      per: 'event',
      batch: { rows: 32, bytes: 256, perEvent: false },
      nonFinite: { score: 0 },
    });
    expect(sources[0]).toMatchObject({ rows: 300, matched: 300, keySeal: written.keySeal });
    expect(sources[0]!.columns.map(({ name }) => name)).toEqual(['run', 'luminosityBlock', 'event']);
  });

  it('of objects are lists of their events', async () => {
    const { report, output } = await infer([await fake()], { model: JETS });
    const jets = (await inputs('Jet_pt')) as number[][];
    const [score] = await columns(output, ['Jet_score']);
    expect(plain(score!)).toEqual(jets.map((event) => event.map((value) => scoreOf(value, '1'))));
    expect(report.done!.rows).toBe(jets.flat().length);
    expect(await verdict(output, NANO)).toBe('verified');
  });

  it('come from several servers, one of which dies on the way', async () => {
    const servers = [await fake(), await fake()];
    servers[1]!.fault = (n) => {
      if (n === 2) void servers[1]!.kill().catch(() => {});
      return n >= 2 ? 'reset' : undefined;
    };
    const { report, events, output } = await infer(servers, { batchRows: 8 });
    const met = (await inputs('MET_pt')) as number[];
    expect(plain((await columns(output, ['score']))[0]!)).toEqual(met.map((value) => scoreOf(value, '1')));
    expect(report.done!.servers.map(({ rows }) => rows).reduce((a, b) => a + b, 0)).toBe(300);
    expect(events.some((event) => event.type === 'warning')).toBe(true);
  });

  it('are not written when a version is not served, and say so', async () => {
    await expect(infer([await fake()], { modelVersion: '3' })).rejects.toMatchObject({
      code: expect.stringMatching(/^infer\//),
    });
    expect(readdirSync(folder).filter((name) => name.includes('.part'))).toEqual([]);
  });

  it('are asked for without the token where the way is not encrypted', async () => {
    const server = await fake();
    process.env.BEARER_TOKEN = 'secret';
    try {
      await infer([server]);
    } finally {
      delete process.env.BEARER_TOKEN;
    }
    expect([...server.tokens]).toEqual(['']);
  });

  it('are null where they are not finite, if that is asked', async () => {
    const server = await fake();
    server.fault = (n) => (n === 1 ? 'nan' : undefined);
    const { report, output } = await infer([server], { onNan: 'null', inFlight: 1 });
    expect(report.done!.nonFinite).toEqual([{ name: 'score', values: 1 }]);
    const [score] = await columns(output, ['score']);
    expect(score!.valid!.filter((valid) => valid === 0)).toHaveLength(1);
    expect(await verdict(output)).toBe('verified');
  });
});

/** As much of S3 as one object takes. */
async function objectStore(): Promise<{ readonly url: string; readonly objects: Map<string, Buffer> }> {
  const objects = new Map<string, Buffer>();
  const server = createServer(async (request, response) => {
    const name = request.url!;
    if (request.method === 'PUT') {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      objects.set(name, Buffer.concat(chunks));
      return response.end();
    }
    const object = objects.get(name);
    if (object === undefined) return response.writeHead(404).end();
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const bytes = first === undefined ? object : object.subarray(Number(first), Number(last) + 1);
    response.writeHead(first === undefined ? 200 : 206, {
      'content-length': bytes.length,
      ...(first === undefined
        ? {}
        : { 'content-range': `bytes ${first}-${Number(first) + bytes.length - 1}/${object.length}` }),
      etag: '"one"',
    });
    return response.end(request.method === 'HEAD' ? undefined : bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stores.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, objects };
}

describe('an output', () => {
  it('on a server is what it would be here, is left alone when it is up to date, and cannot be resumed', async () => {
    const server = await fake();
    const { url, objects } = await objectStore();
    vi.stubEnv('AWS_ENDPOINT_URL', url);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    const here = await infer([server], {});
    const output = 's3://bucket/scores.parquet';
    const { report } = await infer([server], { output });
    expect(report.outputs).toEqual([{ ...here.report.outputs[0], path: output }]);
    expect(objects.get('/bucket/scores.parquet')?.equals(readFileSync(here.output))).toBe(true);
    server.asked.length = 0;
    expect((await infer([server], { output })).report).toMatchObject({ upToDate: true });
    expect(server.asked).toEqual([]);
    for (const more of [{ resume: true }, { receipt: true }, { depfile: join(folder, 'x.d') }]) {
      await expect(infer([server], { output: 's3://bucket/other.parquet', ...more })).rejects.toMatchObject({
        code: 'usage/bad-option',
      });
    }
    expect([...objects.keys()]).toEqual(['/bucket/scores.parquet']);
    vi.unstubAllEnvs();
  });

  it('has a rule for make with all that it was made of, and a receipt beside it again if that is lost', async () => {
    const server = await fake();
    const list = join(folder, 'nano.txt');
    writeFileSync(list, NANO.map((path) => resolve(path)).join('\n'));
    const options = {
      files: [`@${list}`],
      output: join(folder, 'made.parquet'),
      depfile: join(folder, 'made.d'),
      receipt: true,
    };
    await infer([server], options);
    const rule = readFileSync(options.depfile, 'utf8').replaceAll('\\\n', ' ').split('\n', 1)[0]!;
    expect(rule.split(/:? +/)).toEqual([options.output, EVENTS, list, ...NANO.map((path) => resolve(path))]);
    const sidecar = readFileSync(`${options.output}.receipt.json`);
    for (const path of [options.depfile, `${options.output}.receipt.json`]) rmSync(path);
    expect((await infer([server], options)).report).toMatchObject({ upToDate: true });
    expect(readFileSync(`${options.output}.receipt.json`).equals(sidecar)).toBe(true);
    expect(existsSync(options.depfile)).toBe(true);
  });
});

describe('a join with a model', () => {
  const SHARED: JoinOptions = {
    primary: NANO,
    friends: [{ label: 'f', files: ['fixtures/friend_reordered.root'] }],
    how: 'inner',
    columns: [],
    layout: 'arrow',
    missing: { kind: 'null' },
    schema: 'strict',
    dropUnreadable: false,
    writer: 'parquet',
    compression: 'zstd',
    dryRun: false,
    receipt: true,
    force: false,
  };
  const context = { emit: () => {}, signal: new AbortController().signal };
  const joined = async (server: Fake, model: string, more: Partial<JoinOptions> = {}) => {
    const output = join(folder, `joined${serial++}.parquet`);
    const infer = { file: model, servers: [server.url], spotCheck: 1 };
    const report = (await runJoin({ ...SHARED, infer, output, ...more }, context)) as JoinReport;
    return { output, report };
  };

  it('has the scores of its own rows, made of columns of any source, sealed', async () => {
    const server = await fake();
    const weighted = modelFile(
      'weighted.yaml',
      'model: double\nmax-batch-size: 32\ninputs: {X: {columns: [puWeight_f, MET_pt]}}\noutputs: {Y: score}\n',
    );
    const { output, report } = await joined(server, weighted, { jobs: 1 });
    const [weight, score] = await columns(output, ['puWeight_f', 'score']);
    expect(weight!.length).toBeGreaterThan(250);
    expect(plain(score!)).toEqual((plain(weight!) as number[]).map((value) => scoreOf(value, '1')));
    expect(report.scores).toMatchObject({
      model: 'double',
      rows: weight!.length,
      nonFinite: [{ name: 'score', values: 0 }],
    });
    expect(report.scores!.spotRows).toBe(weight!.length);
    expect(report.plan.columnsOut.at(-1)).toMatchObject({ name: 'score', source: 'the model' });
    expect(await verdict(output, [...NANO, 'fixtures/friend_reordered.root'])).toBe('verified');
    expect((await receiptOf(output)).spec.infer).toMatchObject({ model: 'double', version: '1', batch: { rows: 32 } });
  });

  it('has lists of scores of objects, also for a selection', async () => {
    const { output } = await joined(await fake(), JETS, { friends: [], where: 'nJet >= 2', how: 'left' });
    const [pt, score] = await columns(output, ['Jet_pt', 'Jet_score']);
    expect(pt!.length).toBeLessThan(300);
    expect(plain(score!)).toEqual((plain(pt!) as number[][]).map((jets) => jets.map((value) => scoreOf(value, '1'))));
    expect(await verdict(output, NANO)).toBe('verified');
  });

  it('is made again for another version, and not for the same', async () => {
    const server = await fake();
    const output = join(folder, 'again.parquet');
    const options = { friends: [], output };
    await joined(server, EVENTS, options);
    expect((await joined(server, EVENTS, options)).report).toMatchObject({ upToDate: true });
    server.versions = ['2'];
    await expect(joined(server, EVENTS, options)).rejects.toMatchObject({ code: 'output/exists' });
  });

  it('publishes nothing when a score cannot be had, or a name is taken', async () => {
    const server = await fake();
    server.fault = () => 'refuse';
    const output = join(folder, 'never.parquet');
    await expect(joined(server, EVENTS, { output })).rejects.toMatchObject({ code: 'infer/refused' });
    server.asked.length = 0;
    // asked again, the rows come in their own order
    server.fault = (n) => (n === 0 ? 'swap' : undefined);
    await expect(joined(server, EVENTS, { output })).rejects.toMatchObject({ code: 'infer/spot-check' });
    server.fault = () => undefined;
    expect(readdirSync(folder).filter((name) => name.includes('never'))).toEqual([]);
    const taken = modelFile(
      'taken.yaml',
      'model: double\ninputs: {X: {columns: [MET_pt, MET_phi]}}\noutputs: {Y: MET_phi}\n',
    );
    await expect(joined(server, taken, { output })).rejects.toMatchObject({ code: 'join/name-clash' });
    const absent = modelFile(
      'absent.yaml',
      'model: double\ninputs: {X: {columns: [MET_pt, puWeight]}}\noutputs: {Y: s}\n',
    );
    await expect(joined(server, absent, { output, friends: [] })).rejects.toMatchObject({ code: 'source/no-column' });
  });
});

describe('resuming', () => {
  /** 3000 events in row groups of 1024: a model of wide rows. */
  const WIDE = modelFile(
    'wide.yaml',
    'model: double\ninputs: {X: {columns: [MET_pt, MET_phi]}}\noutputs: {Y: score}\n',
  );

  it('goes on from finished parts, and only from those of the same run', async () => {
    const big = join(folder, 'big.parquet');
    if (!existsSync(big)) await makeBig(big);
    const server = await fake();
    const output = join(folder, 'resumed.parquet');
    const options = { files: [big], model: WIDE, batchRows: 8192, output, resume: true, inFlight: 1 };
    server.fault = (n) => (n === 20 ? 'refuse' : undefined);
    await expect(infer([server], options)).rejects.toMatchObject({ code: 'infer/refused' });
    expect(existsSync(output)).toBe(false);
    const parts = readdirSync(`${output}.parts`);
    expect(parts).toEqual(expect.arrayContaining(['0-131072.scores', 'manifest.json']));
    server.versions = ['2'];
    await expect(infer([server], options)).rejects.toMatchObject({
      code: 'infer/other-parts',
      details: expect.arrayContaining(['version: 1 there, 2 now']),
    });
    server.versions = ['1'];
    await expect(infer([server], { ...options, batchRows: 4096 })).rejects.toMatchObject({ code: 'infer/other-parts' });
    server.fault = () => undefined;
    server.asked.length = 0;
    const { report } = await infer([server], options);
    expect(report.done).toMatchObject({ resumed: 131072, rows: ROWS });
    expect(server.asked.reduce((a, b) => a + b, 0)).toBe(ROWS - 131072);
    expect(existsSync(`${output}.parts`)).toBe(false);
    const [met] = await columns(big, ['MET_pt']);
    const [score] = await columns(output, ['score']);
    expect(plain(score!)).toEqual((plain(met!) as number[]).map((value) => scoreOf(value, '1')));
    expect(await verdict(output, [big])).toBe('verified');
  });
});

const ROWS = 200_000;

/** Many events by our own writer: keys 0, 1, 2, ... and a value that names the row. */
async function makeBig(path: string): Promise<void> {
  const { parquet } = await import('../../src/sink/parquet.ts');
  const { flat } = await import('../../src/core/schema.ts');
  const { flatColumn } = await import('../../src/core/column.ts');
  const fields = [
    { name: 'run', type: flat('u32'), nullable: false },
    { name: 'luminosityBlock', type: flat('u32'), nullable: false },
    { name: 'event', type: flat('u64'), nullable: false },
    { name: 'MET_pt', type: flat('f32'), nullable: false },
    { name: 'MET_phi', type: flat('f32'), nullable: false },
  ];
  const made = [
    flatColumn('u32', new Uint32Array(ROWS).fill(1)),
    flatColumn('u32', new Uint32Array(ROWS).fill(1)),
    flatColumn(
      'u64',
      BigUint64Array.from({ length: ROWS }, (_, i) => BigInt(i)),
    ),
    flatColumn(
      'f32',
      Float32Array.from({ length: ROWS }, (_, i) => i),
    ),
    flatColumn('f32', new Float32Array(ROWS)),
  ];
  const options = { compression: 'none' as const };
  const sink = await parquet.open(path, { fields }, { ...options, force: true });
  await sink.append(ROWS, await parquet.encode(fields, made, options));
  await sink.finish({});
  await sink.commit();
}
