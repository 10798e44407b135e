// Makes a fresh clone ready: installs what the lock file names when it is not there yet, then builds dist/ when sources are newer.
// Plain Node 18 or later runs it; what it installs pins the Node that everything after it uses.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const installed = join(top, 'node_modules', '.package-lock.json');

const run = (command, args) => {
  const { status } = spawnSync(command, args, {
    cwd: top,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
};

const stale = (target, source) => !existsSync(target) || statSync(target).mtimeMs < statSync(source).mtimeMs;
if (stale(installed, join(top, 'package-lock.json'))) run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
const pinned = join(top, 'node_modules', '.bin', 'node');
run(existsSync(pinned) ? pinned : process.execPath, [join(top, 'bin', 'build.mjs'), '--if-stale']);
