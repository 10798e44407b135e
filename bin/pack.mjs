// Makes the package as it is published: built, without the pinned Node, the tools and the scripts of the checkout.
// What the bundle holds is no dependency; parquetjs-lite becomes an optional peer.
// Words given are passed to `npm pack`, such as --pack-destination DIR.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const run = (command, words, cwd) => {
  const { status } = spawnSync(command, words, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: exit status ${status}`);
};

/** @param {Record<string, any>} manifest that of the checkout */
function published(manifest) {
  const { scripts: _s, devDependencies, overrides: _o, optionalDependencies: _d, ...rest } = manifest;
  return {
    ...rest,
    man: readdirSync(join(top, 'man')).map((name) => `man/${name}`),
    peerDependencies: { 'parquetjs-lite': devDependencies['parquetjs-lite'] },
    peerDependenciesMeta: { 'parquetjs-lite': { optional: true } },
  };
}

run(process.execPath, [join(top, 'bin', 'setup.mjs')], top);
const stage = mkdtempSync(join(tmpdir(), 'colweave-pack-'));
try {
  const manifest = published(JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')));
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const name of manifest.files) cpSync(join(top, name), join(stage, name), { recursive: true });
  run('npm', ['pack', '--pack-destination', process.cwd(), ...process.argv.slice(2)], stage);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
