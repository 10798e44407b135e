// Rows a second to one and the same tritonserver: our two protocols against NVIDIA's Python client and perf_analyzer, in turn, round by round.
//   node test/bench/infer_transport.ts [--models t_wide,mlp,jettag] [--batches 1024,8192] [--concurrency 1,4] [--rounds 3] [--seconds 2] [--clients colweave,perf_analyzer] [--json FILE]
// t_wide only gives back a column of 120: what is left is transport. Client and server share the machine: compare ratios, not rates.
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { protocolOf } from '../../src/infer/protocols.ts';
import { openServers } from '../../src/infer/start.ts';
import type { Tensor } from '../../src/infer/types.ts';
import { startTriton, type Triton, tritonPython } from '../rigs/triton.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const run = promisify(execFile);
const never = new AbortController().signal;

const MODELS: Readonly<
  Record<string, { readonly output: string; readonly inputs: Readonly<Record<string, readonly number[]>> }>
> = {
  t_wide: { output: 'Y', inputs: { X: [120] } },
  mlp: { output: 'score', inputs: { X: [20] } },
  jettag: { output: 'probs', inputs: { jets: [20, 6], mask: [20] } },
};

interface Trial {
  readonly model: string;
  readonly batch: number;
  /** 0 = found by the client itself. */
  readonly concurrency: number;
  readonly seconds: number;
}

interface Pace {
  readonly rowsPerSecond: number;
  /** Of this process, kernel included; other clients have a start that would be in theirs. */
  readonly cpuMsPerRequest?: number;
}

type Client = (server: Triton, trial: Trial) => Promise<Pace>;

/** `work` returns how many requests were answered. */
async function paced(batch: number, work: () => Promise<number>): Promise<Pace> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const count = await work();
  const { user, system } = process.cpuUsage(before);
  return {
    rowsPerSecond: (1000 * count * batch) / (performance.now() - start),
    cpuMsPerRequest: (user + system) / 1000 / count,
  };
}

function tensorsOf({ model, batch }: Trial): Tensor[] {
  return Object.entries(MODELS[model]!.inputs).map(([name, lengths]) => {
    const shape = [batch, ...lengths];
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.random());
    return { name, type: 'FP32', shape, bytes: new Uint8Array(values.buffer) };
  });
}

function ours(protocol: 'http' | 'grpc'): Client {
  return async (server, trial) => {
    const { protocol: kind, url } = protocolOf(server[protocol]);
    const endpoint = kind.connect(url, {});
    const { model, batch, concurrency } = trial;
    const { version } = await endpoint.model(model, '', never);
    const request = { id: 'r', model, version, inputs: tensorsOf(trial), outputs: [MODELS[model]!.output] };
    const loop = async (end: number): Promise<number> => {
      let count = 0;
      const one = async (): Promise<void> => {
        while (performance.now() < end) {
          await endpoint.infer(request, never);
          count += 1;
        }
      };
      await Promise.all(Array.from({ length: concurrency }, one));
      return count;
    };
    await loop(performance.now() + 300);
    const pace = await paced(batch, () => loop(performance.now() + 1000 * trial.seconds));
    await endpoint.close();
    return pace;
  };
}

/** With everything that a run has: balance, checks, deadlines, and as many requests at once as pay. */
function balanced(protocol: 'http' | 'grpc'): Client {
  return async (server, trial) => {
    const { model, batch } = trial;
    const balance = await openServers({ urls: [server[protocol]], model, version: '', emit: () => {} }, never);
    const { version } = balance.info;
    const inputs = tensorsOf(trial);
    let id = 0;
    const loop = async (end: number): Promise<number> => {
      // answers are not kept: a run does not either
      const pending = new Set<Promise<void>>();
      let count = 0;
      while (performance.now() < end) {
        await balance.room(never);
        const request = { id: `r${id++}`, model, version, inputs, outputs: [MODELS[model]!.output] };
        const work = balance.infer(request, never).then(() => {
          count += 1;
          pending.delete(work);
        });
        pending.add(work);
      }
      await Promise.all(pending);
      return count;
    };
    await loop(performance.now() + 300);
    const pace = await paced(batch, () => loop(performance.now() + 1000 * trial.seconds));
    await balance.close();
    return pace;
  };
}

function tritonclient(protocol: 'http' | 'grpc'): Client {
  return async (server, { model, batch, concurrency, seconds }) => {
    const { output, inputs } = MODELS[model]!;
    const shapes = Object.entries(inputs).map(([name, lengths]) => `${name}:${lengths.join(',')}`);
    const words = [protocol, new URL(server[protocol]).host, model, output, batch, concurrency, seconds, ...shapes];
    const script = join(HERE, 'infer_tritonclient.py');
    const { stdout } = await run(tritonPython(), [script, ...words.map(String)]);
    const said = JSON.parse(stdout) as { rows: number; seconds: number };
    return { rowsPerSecond: said.rows / said.seconds };
  };
}

/** It comes in the client's wheel; the two libraries that it misses are in the server's, under other names. */
function perfAnalyzer(protocol: 'http' | 'grpc', work: string): Client {
  const python = tritonPython();
  const site = join(dirname(dirname(python)), 'lib');
  const libs = join(
    site,
    readdirSync(site).find((name) => /^python3\.\d+$/.test(name))!,
    'site-packages',
    'nvidia_pytriton.libs',
  );
  const links = join(work, 'lib');
  mkdirSync(links, { recursive: true });
  for (const [start, name] of [
    ['libb64-', 'libb64.so.0d'],
    ['libcudart-', 'libcudart.so.12'],
  ] as const) {
    const file = readdirSync(libs).find((each) => each.startsWith(start));
    rmSync(join(links, name), { force: true });
    symlinkSync(join(libs, file!), join(links, name));
  }
  return async (server, { model, batch, concurrency, seconds }) => {
    const csv = join(work, 'perf.csv');
    // three windows, whatever their spread: with a demand of stability a noisy machine gets no figure at all
    const window = Math.round((1000 * seconds) / 3);
    const words = ['-m', model, '-b', batch, '-i', protocol, '-u', new URL(server[protocol]).host, '-f', csv];
    words.push('--concurrency-range', concurrency, '-p', window, '-s', 999, '-r', 3);
    await run(join(dirname(python), 'perf_analyzer'), words.map(String), {
      env: { ...process.env, LD_LIBRARY_PATH: links },
    });
    const [heads = '', figures = ''] = readFileSync(csv, 'utf8').split('\n');
    return { rowsPerSecond: Number(figures.split(',')[heads.split(',').indexOf('Inferences/Second')]) };
  };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      models: { type: 'string', default: 't_wide,mlp,jettag' },
      batches: { type: 'string', default: '1024,8192' },
      concurrency: { type: 'string', default: '1,4' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      clients: { type: 'string', default: '' },
      json: { type: 'string' },
    },
  });
  const work = mkdtempSync(join(tmpdir(), 'colweave-transport-'));
  const all: Readonly<Record<string, Client>> = {
    'colweave http': ours('http'),
    'colweave grpc': ours('grpc'),
    'colweave http, adaptive': balanced('http'),
    'colweave grpc, adaptive': balanced('grpc'),
    'tritonclient http': tritonclient('http'),
    'tritonclient grpc': tritonclient('grpc'),
    'perf_analyzer http': perfAnalyzer('http', work),
    'perf_analyzer grpc': perfAnalyzer('grpc', work),
  };
  const wanted = values.clients.split(',');
  const clients = Object.fromEntries(
    Object.entries(all).filter(([name]) => wanted.some((start) => name.startsWith(start))),
  );
  const models = values.models.split(',');
  const server = await startTriton({ models });
  const results = [];
  try {
    for (const model of models)
      for (const batch of values.batches.split(',').map(Number))
        for (const concurrency of values.concurrency.split(',').map(Number)) {
          const trial = { model, batch, concurrency, seconds: Number(values.seconds) };
          const paces: Record<string, Pace[]> = {};
          for (let round = 0; round < Number(values.rounds); round++) {
            // another one begins each time: whoever comes first finds the machine colder
            const names = Object.keys(clients);
            for (const name of [...names.slice(round), ...names.slice(0, round)]) {
              paces[name] = [...(paces[name] ?? []), await clients[name]!(server, trial)];
            }
          }
          results.push({ ...trial, load: loadavg()[0], paces });
          say(trial, paces);
        }
  } finally {
    await server.stop();
    rmSync(work, { recursive: true });
  }
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version, python: versionOf() };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, results }, null, 1)}\n`);
}

function versionOf(): string {
  return spawnSync(tritonPython(), ['-c', 'import tritonclient, sys; print(sys.version.split()[0])'], {
    encoding: 'utf8',
  }).stdout.trim();
}

function say({ model, batch, concurrency }: Trial, paces: Readonly<Record<string, readonly Pace[]>>): void {
  const rates = Object.entries(paces).map(
    ([name, each]) => [name, each.map(({ rowsPerSecond }) => rowsPerSecond)] as const,
  );
  const best = Math.max(...rates.flatMap(([name, each]) => (name.startsWith('colweave') ? [] : [median(each)])));
  const what = 'thousand rows/s, median (least to most), ratio to the best peer, ms of processor a request';
  const load = loadavg()[0]!.toFixed(1);
  process.stdout.write(`${model}, ${batch} rows a request, ${concurrency} at once, load ${load}: ${what}\n`);
  for (const [name, each] of rates) {
    const [low, middle, high] = [Math.min(...each), median(each), Math.max(...each)].map((rate) =>
      (rate / 1000).toFixed(0),
    );
    const cpu = paces[name]!.flatMap(({ cpuMsPerRequest }) => (cpuMsPerRequest === undefined ? [] : [cpuMsPerRequest]));
    const told = cpu.length === 0 ? '' : `  ${median(cpu).toFixed(2)} ms`;
    process.stdout.write(
      `  ${name.padEnd(26)} ${middle!.padStart(6)}  (${low} to ${high})  ${(median(each) / best).toFixed(2)}${told}\n`,
    );
  }
}

await main();
