// Assembles each .wat of src into a -binary.ts beside it. --check: only tell whether those files are what they should be.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const SOURCES = ['core/kernels.wat', 'codec/pages.wat'];
const src = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src');
const assembler = await wabt();

for (const source of SOURCES) {
  const name = basename(source);
  const target = join(src, source.replace(/\.wat$/, '-binary.ts'));
  const module = assembler.parseWat(name, readFileSync(join(src, source), 'utf8'), { simd: true });
  module.validate();
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
  const lines = base64.match(/.{1,110}/g).map((line) => `  '${line}',`);
  const text = [
    `// Owns the bytes of ${name}, assembled by bin/kernels.mjs: not to be edited.`,
    `export const ${basename(source, '.wat').toUpperCase()} = [`,
    ...lines,
    "].join('');",
    '',
  ].join('\n');
  if (!process.argv.includes('--check')) {
    writeFileSync(target, text);
  } else if (readFileSync(target, 'utf8') !== text) {
    process.stderr.write(`${target} is not what src/${source} gives: npm run kernels\n`);
    process.exitCode = 1;
  }
}
