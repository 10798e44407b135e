// Writes the generated manual pages into man/. --check: writes nothing, fails when one is not fresh.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manPages } from '../src/cli/man.ts';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8'));
for (const [name, text] of manPages(version)) {
  const path = join(top, 'man', name);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
  if (process.argv.includes('--check')) {
    process.stderr.write(`man/${name} is not fresh: npm run man\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    process.stdout.write(`man/${name}\n`);
  }
}
