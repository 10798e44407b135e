// The rig of inference servers: real tritonservers on loopback, each with its own model repository; started, killed, restarted and stopped by pid.
//   node test/rigs/triton.ts [--servers N] [--models a,b] [--threads N] [-- FLAG...]   prints one line of JSON, serves until it gets SIGTERM or SIGINT
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
/** A Python model takes two seconds to load, and a busy machine several times that. */
const START_SECONDS_MAX = 120;

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

/** The rig's Python, made on first use (a minute or two); it has onnxruntime and tritonclient too. */
export function tritonPython(): string {
  const made = spawnSync(join(HERE, 'venv.sh'), ['--list', 'requirements-triton.txt'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (made.status !== 0) throw new Error('the Python environment of the Triton rig cannot be made');
  return made.stdout.trim();
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

function runPython(python: string, words: readonly string[]): void {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONWARNINGS: 'ignore' };
  const { status, stderr } = spawnSync(python, words, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${words[0]}: ${stderr}`);
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
  const server = new Server({ python, repository, shm, flags: [...flags, ...(options.flags ?? [])] });
  const forget = (): void => {
    rmSync(work, { recursive: true, force: true });
  };
  try {
    await server.start(await freePorts(3));
  } catch (cause) {
    forget();
    throw cause;
  }
  const [http, grpc, metrics] = server.ports.map((port) => `127.0.0.1:${port}`);
  return {
    http: `http://${http}`,
    grpc: `grpc://${grpc}`,
    metrics: `http://${metrics}/metrics`,
    repository,
    pid: () => server.child?.pid ?? 0,
    log: () => server.log,
    kill: () => server.end('SIGKILL'),
    terminate: () => server.end('SIGTERM'),
    restart: () => server.start(server.ports),
    stop: async () => {
      await server.end('SIGKILL');
      forget();
    },
  };
}

interface ServerSetting {
  readonly python: string;
  readonly repository: string;
  readonly shm: string;
  readonly flags: readonly string[];
}

class Server {
  readonly setting: ServerSetting;
  ports: readonly number[] = [];
  child: ChildProcess | undefined;
  log = '';

  constructor(setting: ServerSetting) {
    this.setting = setting;
  }

  async start(ports: readonly number[]): Promise<void> {
    const { python, repository, shm, flags } = this.setting;
    this.ports = ports;
    const words = [python, repository, ...ports.map(String), shm, ...flags];
    const child = spawn(join(HERE, 'triton.sh'), words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    const keep = (text: Buffer): void => {
      this.log = (this.log + text.toString()).slice(-100_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    const end = Date.now() + START_SECONDS_MAX * 1000;
    while (!(await isReady(`http://127.0.0.1:${ports[0]}/v2/health/ready`))) {
      const why = child.exitCode !== null ? `ended with ${child.exitCode}` : Date.now() > end ? 'is not ready' : '';
      if (why !== '') {
        await this.end('SIGKILL');
        throw new Error(`tritonserver ${why}:\n${this.log.slice(-4000)}`);
      }
      await sleep(100);
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill(signal);
      await gone;
    }
    // a killed server leaves the memory that it shared with its models
    for (const name of existsSync('/dev/shm') ? readdirSync('/dev/shm') : []) {
      if (name.startsWith(this.setting.shm)) rmSync(join('/dev/shm', name), { force: true });
    }
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).status === 200;
  } catch {
    return false;
  }
}

/** Ports that are free now; held together, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
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
  mkdirSync(tmpdir(), { recursive: true });
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
