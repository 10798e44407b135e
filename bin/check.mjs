// Everything a reviewer would look at: types, lint and format, man pages fresh, all fast tests (tidy and golden among them).
// Goes on after a failure, so that one run shows all of them. Run with --fix to format and to write the man pages anew.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const tools = join(top, 'node_modules', '.bin');
const env = { ...process.env, PATH: `${tools}${delimiter}${process.env.PATH}` };
const fix = process.argv.includes('--fix');

const steps = [
  ['set-up', process.execPath, [join('bin', 'setup.mjs')]],
  ['types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']],
  ['lint and format', 'biome', ['check', '--config-path=.config/lint.json', ...(fix ? ['--write'] : []), '.']],
  ['kernels', 'node', [join('bin', 'kernels.mjs'), ...(fix ? [] : ['--check'])]],
  ['man pages', 'node', [join('bin', 'man.mjs'), ...(fix ? [] : ['--check'])]],
  ['tests', 'vitest', ['run', '--config', '.config/vitest.config.ts']],
];

const failed = [];
for (const [name, command, words] of steps) {
  const path = existsSync(join(tools, command)) ? join(tools, command) : command;
  const start = Date.now();
  const { status } = spawnSync(path, words, { cwd: top, env, stdio: 'inherit' });
  process.stdout.write(`${status === 0 ? 'ok' : 'FAILED'}: ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)\n`);
  if (status !== 0) failed.push(name);
  if (status !== 0 && name === 'set-up') break;
}
if (failed.length > 0) process.stdout.write(`failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
