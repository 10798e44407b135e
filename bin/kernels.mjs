// Assembles src/core/kernels.wat into src/core/kernels-binary.ts. --check: only tell whether that file is what it should be.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const core = join(dirname(dirname(fileURLToPath(import.meta.url))), 'src', 'core');
const target = join(core, 'kernels-binary.ts');
const module = (await wabt()).parseWat('kernels.wat', readFileSync(join(core, 'kernels.wat'), 'utf8'), { simd: true });
module.validate();
const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
const lines = base64.match(/.{1,110}/g).map((line) => `  '${line}',`);
const text = [
  '// Owns the bytes of kernels.wat, assembled by bin/kernels.mjs: not to be edited.',
  'export const KERNELS = [',
  ...lines,
  "].join('');",
  '',
].join('\n');

if (!process.argv.includes('--check')) {
  writeFileSync(target, text);
} else if (readFileSync(target, 'utf8') !== text) {
  process.stderr.write('src/core/kernels-binary.ts is not what src/core/kernels.wat gives: npm run kernels\n');
  process.exitCode = 1;
}
