// The main job on the committed fixtures, as a user would type it: join, verify, and what a refusal looks like.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const fixtures = join(top, 'fixtures');
const pinned = join(top, 'node_modules', '.bin', 'node');
const node = existsSync(pinned) ? pinned : process.execPath;
const place = mkdtempSync(join(tmpdir(), 'colweave-demo-'));
const shown = process.stdout.isTTY && !process.env.NO_COLOR ? (text) => `\u001b[1m${text}\u001b[22m` : (text) => text;

const steps = [
  {
    says: 'A NanoAOD-like primary in 3 files; a friend regrouped into 2 files; two variations under labels; a friend that lacks events.',
    line: 'colweave join nano_*.root --with friend_regrouped_*.root --with jesUp: friend_jes_up.root --with jesDown: friend_jes_down.root --with part: friend_partial.root -o joined.parquet',
  },
  { says: 'Does every column still hold what was joined?', line: 'colweave verify joined.parquet' },
  {
    says: 'The same against the sources, trusting nothing that join said.',
    line: 'colweave verify joined.parquet --against nano_*.root friend_regrouped_*.root friend_jes_*.root friend_partial.root',
  },
  {
    says: 'A friend that has events twice is refused: exit status 1, nothing written.',
    line: 'colweave join nano_*.root --with friend_duplicates.root -o doubled.parquet',
    exit: 1,
  },
];

/** As a shell would: sorted names; a word that matches nothing stays. */
function expand(word) {
  if (!word.includes('*')) return [word];
  const pattern = new RegExp(`^${word.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
  const names = readdirSync(place).filter((name) => pattern.test(name));
  return names.length > 0 ? names.sort() : [word];
}

const start = Date.now();
let failed = false;
try {
  for (const name of readdirSync(fixtures).filter((each) => /^(nano|friend)_.*\.root$/.test(each))) {
    symlinkSync(join(fixtures, name), join(place, name));
  }
  for (const { says, line, exit = 0 } of steps) {
    process.stdout.write(`# ${says}\n${shown(`$ ${line}`)}\n`);
    const words = line
      .split(' ')
      .slice(1)
      .flatMap((word) => expand(word));
    const { status } = spawnSync(node, [join(top, 'bin', 'colweave.js'), ...words], {
      cwd: place,
      stdio: ['ignore', 1, 1],
    });
    if (status !== exit) {
      process.stdout.write(`demo: exit status ${status}, expected ${exit}\n`);
      failed = true;
    }
    process.stdout.write('\n');
  }
} finally {
  rmSync(place, { recursive: true, force: true });
}
process.stdout.write(
  `${failed ? 'demo FAILED' : 'demo done'} in ${((Date.now() - start) / 1000).toFixed(1)} s; nothing is left behind\n`,
);
process.exitCode = failed ? 1 : 0;
