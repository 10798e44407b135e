// The receipt checked by a stranger (Python, from the man page), and files that other tools wrote again.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { JoinOptions } from '../../src/command/types.ts';
import { codes, FRIENDS, makeOutput, readTable, SOURCES, scratch, verify, writeTable } from '../mutation/harness.ts';
import { KINDS } from '../mutation/kinds.ts';

const TOP = new URL('../..', import.meta.url).pathname;
const TOOLS = ['pyarrow', 'pyarrow_reordered', 'duckdb', 'polars'];
const JOINS: Readonly<Record<string, Partial<JoinOptions>>> = {
  left: {},
  inner: { how: 'inner' },
  outer: { how: 'outer' },
  right: { how: 'right', friends: [{ label: 'par', files: [FRIENDS.par] }] },
  filled: { layout: 'nano', missing: { kind: 'fill', value: '0' } },
  snappy: { compression: 'snappy' },
};

function findPython(): string | undefined {
  const named = process.env.COLWEAVE_PYTHON;
  const { stdout } = spawnSync(join(TOP, 'test/rigs/venv.sh'), ['--where'], { encoding: 'utf8' });
  const path = named ?? (stdout ?? '').trim();
  return existsSync(path) ? path : undefined;
}

const python = findPython();
const folder = scratch();
const at = (name: string) => join(folder, `${name}.parquet`);
afterAll(() => rmSync(folder, { recursive: true }));

async function askPeers(program: string): Promise<Readonly<Record<string, readonly string[]>>> {
  for (const [name, options] of Object.entries(JOINS)) await makeOutput(at(name), options);
  for (const [i, { change }] of KINDS.entries()) {
    const table = await readTable(at('left'));
    change(table);
    await writeTable(at(`bad${i}`), table);
  }
  const check = [...Object.keys(JOINS), ...KINDS.map((_, i) => `bad${i}`)].map(at);
  const rewrite = TOOLS.map((tool) => [tool, at('left'), at(tool)]);
  const script = join(TOP, 'test/interop/receipt_peers.py');
  const run = spawnSync(program, [script], { input: JSON.stringify({ check, rewrite }), encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Record<string, string[]>;
}

if (python === undefined) {
  const reason = 'no Python environment: run test/rigs/venv.sh';
  if (process.env.CI) it('has its Python environment', () => expect.fail(reason));
  else it.skip(`skipped: ${reason}`, () => {});
} else {
  const said = await askPeers(python);

  describe('the checker written from the man page', () => {
    it.each(Object.keys(JOINS))('agrees with the receipt of a join, %s', (name) => {
      expect(said[at(name)]).toEqual([]);
    });

    it.each(KINDS.map((kind, i) => [kind.name, i, kind.expected] as const))('finds %s', (_, i, { codes, columns }) => {
      const text = said[at(`bad${i}`)]!.join('\n');
      expect(text).not.toBe('');
      if (codes[0] === 'verify/column-differs') for (const name of columns!) expect(text).toContain(`column ${name}:`);
    });
  });

  describe('written again by another tool: no damage', () => {
    it.each(TOOLS)('%s', async (tool) => {
      const report = await verify(at(tool), { receipt: `${at('left')}.receipt.json` });
      const expected = ['verify/rewritten', ...(tool === 'pyarrow_reordered' ? ['verify/order-lost'] : [])];
      expect(codes(report.findings)).toEqual(expected);
      const against = await verify(at(tool), { receipt: `${at('left')}.receipt.json`, against: SOURCES });
      expect(against.verdict).toBe('rewritten');
      expect(codes(against.findings)).toEqual(expected);
    });
  });
}
