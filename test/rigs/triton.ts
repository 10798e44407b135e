// The rig of inference servers: real tritonservers on loopback, each with its own model repository; started, killed, restarted and stopped by pid.
//   node test/rigs/triton.ts [--servers N] [--models a,b] [--threads N] [-- FLAG...]   prints one line of JSON, serves until it gets SIGTERM or SIGINT
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePorts, rigPython, runPython, ServerProcess } from './server-process.ts';

const HERE = dirname(fileURLToPath(import.meta.url));

export interface TritonOptions {
  /** Loaded at the start, of those that make_repository.py lays out; others can be loaded later. */
  readonly models: readonly string[];
  /** Threads of onnxruntime in each model. */
  readonly threads?: number;
  readonly flags?: readonly string[];
}

export interface Triton {
  readonly http: string;
  readonly grpc: string;
  readonly metrics: string;
  /** Its own: tests may change it and load a model again. */
  readonly repository: string;
  pid(): number;
  log(): string;
  /** SIGKILL: nothing is said to clients, connections are reset. */
  kill(): Promise<void>;
  /** SIGTERM, as an operator does. */
  terminate(): Promise<void>;
  /** On the same ports. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** The rig's Python; it has onnxruntime and tritonclient too. */
export function tritonPython(): string {
  return rigPython('requirements-triton.txt');
}

/** The directory of NAME/VERSION/model.onnx, made once per version of its script. */
export function tritonModels(python: string): string {
  const script = join(HERE, 'triton', 'make_models.py');
  const hash = createHash('sha256').update(readFileSync(script)).digest('hex').slice(0, 12);
  const folder = join(dirname(dirname(python)), `models-${hash}`);
  if (existsSync(folder)) return folder;
  const made = mkdtempSync(`${folder}.`);
  runPython(python, [script, made]);
  try {
    renameSync(made, folder);
  } catch (cause) {
    if (!existsSync(folder)) throw cause; // else another run made them meanwhile
    rmSync(made, { recursive: true });
  }
  return folder;
}

/** Ready when this resolves. Errors say what the server's log says. */
export async function startTriton(options: TritonOptions): Promise<Triton> {
  const python = tritonPython();
  const models = tritonModels(python);
  const work = mkdtempSync(join(tmpdir(), 'colweave-triton-'));
  const repository = join(work, 'repository');
  const threads = String(options.threads ?? 1);
  runPython(python, [join(HERE, 'triton', 'make_repository.py'), models, repository, '--threads', threads]);
  const shm = `colweave_${process.pid}_${work.slice(-6)}_`;
  const flags = ['--model-control-mode=explicit', ...options.models.map((name) => `--load-model=${name}`)];
  const ports = await freePorts(3);
  const [http, grpc, metrics] = ports.map((port) => `127.0.0.1:${port}`);
  const server = new ServerProcess({
    name: 'tritonserver',
    words: [join(HERE, 'triton.sh'), python, repository, ...ports.map(String), shm, ...flags, ...(options.flags ?? [])],
    readyUrl: `http://${http}/v2/health/ready`,
    clean: () => removeShared(shm),
  });
  const forget = (): void => {
    rmSync(work, { recursive: true, force: true });
  };
  try {
    await server.start();
  } catch (cause) {
    forget();
    throw cause;
  }
  return {
    http: `http://${http}`,
    grpc: `grpc://${grpc}`,
    metrics: `http://${metrics}/metrics`,
    repository,
    pid: () => server.pid,
    log: () => server.log,
    kill: () => server.end('SIGKILL'),
    terminate: () => server.end('SIGTERM'),
    restart: () => server.start(),
    stop: async () => {
      await server.end('SIGKILL');
      forget();
    },
  };
}

/** A killed server leaves the memory that it shared with its models. */
function removeShared(prefix: string): void {
  for (const name of existsSync('/dev/shm') ? readdirSync('/dev/shm') : []) {
    if (name.startsWith(prefix)) rmSync(join('/dev/shm', name), { force: true });
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      servers: { type: 'string', default: '1' },
      models: { type: 'string', default: 'mlp,jettag' },
      threads: { type: 'string', default: '1' },
    },
  });
  const options = { models: values.models.split(','), threads: Number(values.threads), flags: positionals };
  const started = await Promise.allSettled(Array.from({ length: Number(values.servers) }, () => startTriton(options)));
  const servers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const failed = started.find((each) => each.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const said = servers.map((each) => ({
    http: each.http,
    grpc: each.grpc,
    metrics: each.metrics,
    repository: each.repository,
    pid: each.pid(),
  }));
  const python = tritonPython();
  process.stdout.write(
    `${JSON.stringify({ pid: process.pid, python, models: tritonModels(python), servers: said })}\n`,
  );
  await new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
    process.stdout.once('error', resolve);
    // the pipe alone does not keep Node alive
    const hold = setInterval(() => {}, 1 << 30);
    process.once('SIGTERM', () => clearInterval(hold));
    process.once('SIGINT', () => clearInterval(hold));
  });
  await stop();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
