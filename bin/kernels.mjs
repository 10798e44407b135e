// Assembles the WebAssembly kernels into src/**/*-binary.ts. --check: only tell whether those files are what they should be.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';
import { LZMA_KERNEL } from './lzma-kernel.mjs';

const top = dirname(dirname(fileURLToPath(import.meta.url)));
const textOf = (path) => readFileSync(join(top, path), 'utf8');
const parts = [
  {
    name: 'KERNELS',
    of: 'src/core/kernels.wat',
    text: textOf('src/core/kernels.wat'),
    target: 'src/core/kernels-binary.ts',
  },
  {
    name: 'PAGES',
    of: 'src/codec/pages.wat',
    text: textOf('src/codec/pages.wat'),
    target: 'src/codec/pages-binary.ts',
  },
  { name: 'LZMA_KERNEL', of: 'bin/lzma-kernel.mjs', text: LZMA_KERNEL, target: 'src/codec/lzma-binary.ts' },
];

const { parseWat } = await wabt();
for (const { name, of, text: wat, target } of parts) {
  const module = parseWat(of, wat, { simd: true });
  module.validate();
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
  const lines = base64.match(/.{1,110}/g).map((line) => `  '${line}',`);
  const text = [
    `// Owns the bytes of ${of.split('/').pop()}, assembled by bin/kernels.mjs: not to be edited.`,
    `export const ${name} = [`,
    ...lines,
    "].join('');",
    '',
  ].join('\n');
  const path = join(top, target);
  if (!process.argv.includes('--check')) {
    writeFileSync(path, text);
  } else if (readFileSync(path, 'utf8') !== text) {
    process.stderr.write(`${target} is not what ${of} gives: npm run kernels\n`);
    process.exitCode = 1;
  }
}
