// Owns how a Python oracle becomes tests: runs a script of this folder once and makes one test of each case that it reports.
// No Python environment: a visible skip with the reason, but a failure under CI. No ../shared: the script reports its own skips.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const HERE = dirname(fileURLToPath(import.meta.url));
const TOP = dirname(dirname(HERE));
const SCRIPT_MS_MAX = 570_000; // below vitest's limit, so that the script is ended by us

interface Case {
  readonly case: string;
  readonly ok?: boolean;
  readonly why?: string;
  readonly skip?: string;
}

function findPython(): { path: string } | { absent: string } {
  const named = process.env.COLWEAVE_PYTHON;
  if (named)
    return existsSync(named) ? { path: named } : { absent: `COLWEAVE_PYTHON names ${named}, which is not there` };
  const { stdout } = spawnSync(join(TOP, 'test', 'rigs', 'venv.sh'), ['--where'], { encoding: 'utf8' });
  const path = (stdout ?? '').trim();
  return path && existsSync(path) ? { path } : { absent: 'no Python environment: run test/rigs/venv.sh' };
}

function runScript(python: string, script: string): { cases: Case[]; status: number | null; stderr: string } {
  const { stdout, stderr, status } = spawnSync(python, [join(HERE, script)], {
    cwd: TOP,
    encoding: 'utf8',
    timeout: SCRIPT_MS_MAX,
    maxBuffer: 1 << 28,
    env: { ...process.env, COLWEAVE_NODE: process.execPath, PYTHONWARNINGS: 'ignore' },
  });
  const lines = (stdout ?? '').split('\n').filter((line) => line.startsWith('{"case"'));
  return { cases: lines.map((line) => JSON.parse(line) as Case), status, stderr: stderr ?? '' };
}

/** Declares the tests of one script. */
export function oracle(script: string): void {
  const built = join(TOP, 'dist', 'colweave.js');
  const python = findPython();
  describe(script, () => {
    if ('absent' in python) {
      if (process.env.CI) it('has its Python environment', () => expect.fail(python.absent));
      else it.skip(`skipped: ${python.absent}`, () => {});
      return;
    }
    if (!existsSync(built)) {
      it('finds the built program', () => expect.fail('dist/colweave.js is not there: npm run build'));
      return;
    }
    const { cases, status, stderr } = runScript(python.path, script);
    for (const one of cases) {
      if (one.skip !== undefined) it.skip(`${one.case} (skipped: ${one.skip})`, () => {});
      else it(one.case, () => expect(one.ok, one.why).toBe(true));
    }
    it('ran to its end', () => {
      const failed = cases.filter((one) => one.ok === false).length;
      expect(status, stderr.slice(-3000)).toBe(failed > 0 ? 1 : 0);
      expect(cases.length).toBeGreaterThan(0);
    });
  });
}
