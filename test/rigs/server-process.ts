// Owns one server as a process of a rig: started on ports that are free, ready before it is used, ended by its own pid.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Begins the reason of what a machine has no means to install (no root, no cargo, no mirror): a skip under CI too. */
export const CANNOT = 'cannot be installed here: ';

const HERE = dirname(fileURLToPath(import.meta.url));
/** A Python model takes two seconds to load, and a busy machine several times that. */
const START_SECONDS_MAX = 180;
const LOG_BYTES_MAX = 100_000;

/** The Python of one list of pins beside this file, made on first use (a minute or two). */
export function rigPython(list: string): string {
  const made = spawnSync(join(HERE, 'venv.sh'), ['--list', list], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (made.status !== 0) throw new Error(`the Python environment of ${list} cannot be made`);
  return made.stdout.trim();
}

export function runPython(python: string, words: readonly string[]): void {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONWARNINGS: 'ignore' };
  const { status, stderr } = spawnSync(python, words, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${words[0]}: ${stderr}`);
}

export interface ServerCommand {
  readonly name: string;
  readonly words: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Answers 200 when it is ready. */
  readonly readyUrl: string;
  /** After its end, however it came. */
  readonly clean?: () => void;
}

export class ServerProcess {
  readonly #command: ServerCommand;
  #child: ChildProcess | undefined;
  log = '';

  constructor(command: ServerCommand) {
    this.#command = command;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Errors say what the server's log says. */
  async start(): Promise<void> {
    const { name, env, readyUrl } = this.#command;
    const [program, ...words] = this.#command.words;
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    // a group of its own: a server that is killed may leave helpers, which must end with it
    const child = spawn(program, words, { stdio, detached: true, env: { ...process.env, ...env } });
    this.#child = child;
    const keep = (text: Buffer): void => {
      this.log = (this.log + text.toString()).slice(-LOG_BYTES_MAX);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    const end = Date.now() + START_SECONDS_MAX * 1000;
    while (!(await isReady(readyUrl))) {
      const ended = child.exitCode ?? child.signalCode;
      const why = ended !== null ? `ended with ${ended}` : Date.now() > end ? 'is not ready' : '';
      if (why !== '') {
        await this.end('SIGKILL');
        throw new Error(`${name} ${why}:\n${this.log.slice(-4000)}`);
      }
      await sleep(100);
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill(signal);
      await gone;
    }
    if (child?.pid !== undefined) endGroup(child.pid);
    this.#command.clean?.();
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nobody is left
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
