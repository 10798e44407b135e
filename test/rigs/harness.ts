// Owns when a rig counts: absent parts are a visible skip with the reason, and under CI a failure where they could be had.
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CANNOT } from './server-process.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
export const TOP = dirname(dirname(HERE));
export const FIXTURES = join(TOP, 'fixtures');
const COMMAND_MS_MAX = 100_000;

/** Declares tests that need something of the machine. */
export function describeRig(name: string, missing: string | undefined, body: () => void): void {
  if (missing === undefined) describe(name, body);
  else if (process.env.CI && !missing.startsWith(CANNOT))
    describe(name, () => it('has what it needs', () => expect.fail(missing)));
  else describe(name, () => it.skip(`skipped: ${missing}`, () => {}));
}

/** The Python of requirements-NAME.txt, or of requirements.txt; `missing` says how to make it. */
export function rigPython(name?: string): { path: string; missing?: string } {
  const list = name === undefined ? [] : ['--list', `requirements-${name}.txt`];
  const { stdout } = spawnSync(join(HERE, 'venv.sh'), ['--where', ...list], {
    encoding: 'utf8',
  });
  const path = (stdout ?? '').trim();
  return existsSync(path)
    ? { path }
    : { path, missing: `no Python environment: run ${['test/rigs/venv.sh', ...list].join(' ')}` };
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; `env` is all it gets beside PATH and HOME, so that no credential of the machine helps. */
export function runCommand(command: string, words: readonly string[], env: Readonly<Record<string, string>> = {}): Ran {
  const { PATH = '', HOME = '' } = process.env;
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    cwd: TOP,
    encoding: 'utf8',
    timeout: COMMAND_MS_MAX,
    maxBuffer: 1 << 28,
    env: { PATH, HOME, ...env },
  });
  return { status, stdout: stdout ?? '', stderr: `${stderr ?? ''}${error ? error.message : ''}` };
}

/** The same, while servers of this process go on. */
export function runLater(
  command: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(command, words, {
    cwd: TOP,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: COMMAND_MS_MAX,
    env: { PATH, HOME, ...env },
  });
  return ended(child);
}

/** What a child has said when it is over. */
export function ended(child: ChildProcessByStdio<null, Readable, Readable>): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}
