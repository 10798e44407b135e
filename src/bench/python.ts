// Owns the Python that peers run in: where it is, which of their packages it has, and where their scripts are.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import { lastLine, runCommand } from './measure.ts';

export type FoundPython =
  | { readonly path: string; readonly version: string; readonly packages: Readonly<Record<string, string>> }
  | { readonly absent: string };

/** Scripts write no caches into the checkout, and say no warnings. */
export const PYTHON_ENV = { PYTHONDONTWRITEBYTECODE: '1', PYTHONWARNINGS: 'ignore' } as const;

const PACKAGES = ['uproot', 'awkward', 'duckdb', 'polars', 'pyarrow', 'numpy', 'root'];

/** Asks for versions without importing, which takes seconds for some. */
const VERSIONS = `
import importlib.metadata as metadata, json, platform, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = metadata.version(name)
    except metadata.PackageNotFoundError: pass
print(json.dumps({"version": platform.python_version(), "packages": found}))
`;

/** `--python`, else $COLWEAVE_PYTHON, else what test/rigs/venv.sh has made. Errors: usage/bad-option. */
export async function findPython(top: string, named: string | undefined, signal: AbortSignal): Promise<FoundPython> {
  if (named !== undefined && !existsSync(named)) {
    throw new ColweaveError('usage/bad-option', `--python names "${named}", which is not there`, {
      hint: 'give the path of a Python that has uproot, awkward, duckdb, polars and pyarrow',
    });
  }
  const path = named ?? process.env.COLWEAVE_PYTHON ?? madeByRig(top);
  if (path === undefined) return { absent: 'no Python: give --python PATH or run test/rigs/venv.sh' };
  if (!existsSync(path)) return { absent: `COLWEAVE_PYTHON names ${path}, which is not there` };
  const { exit, stdout, stderr } = await runCommand({ words: [path, '-c', VERSIONS, ...PACKAGES] }, signal);
  if (exit !== 0) return { absent: `${path} does not run: ${lastLine(stderr)}` };
  return { path, ...(JSON.parse(stdout) as { version: string; packages: Record<string, string> }) };
}

function madeByRig(top: string): string | undefined {
  const rig = join(top, 'test', 'rigs', 'venv.sh');
  if (!existsSync(rig)) return undefined;
  const { stdout } = spawnSync(rig, ['--where'], { encoding: 'utf8' });
  const path = (stdout ?? '').trim();
  return path !== '' && existsSync(path) ? path : undefined;
}

/** A Python of the system, without packages, is enough to measure with. */
export function systemPython(): string | undefined {
  const { status, stdout } = spawnSync(
    'python3',
    ['-c', 'import os, sys; os.wait4, os.posix_spawnp; print(sys.executable)'],
    {
      encoding: 'utf8',
    },
  );
  return status === 0 ? stdout.trim() : undefined;
}

/** Scripts of peers are part of a checkout, not of the package. */
export function scriptOf(top: string, name: string): string | undefined {
  const path = join(top, 'test', 'bench', name);
  return existsSync(path) ? path : undefined;
}
