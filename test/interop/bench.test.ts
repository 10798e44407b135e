// `colweave bench join --quick`: every installed peer makes the same join, each output is right, and all figures are there. No bar on time.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { PEERS } from '../../src/bench/peers.ts';
import type { BenchReport, CommandReport } from '../../src/bench/types.ts';

const TOP = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const BIN = join(TOP, 'bin', 'colweave.js');
const work = mkdtempSync(join(tmpdir(), 'colweave-bench-test-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

function python(): string | undefined {
  const named = process.env.COLWEAVE_PYTHON;
  const { stdout } = spawnSync(join(TOP, 'test', 'rigs', 'venv.sh'), ['--where'], { encoding: 'utf8' });
  const path = named ?? (stdout ?? '').trim();
  return path !== '' && existsSync(path) ? path : undefined;
}

const RUN_MS_MAX = 500_000;
const EVENTS = 20_000;

if (python() === undefined) {
  const reason = 'no Python environment: run test/rigs/venv.sh';
  if (process.env.CI) it('has its Python environment', () => expect.fail(reason));
  else it.skip(`skipped: ${reason}`, () => {});
} else {
  const results = join(work, 'bench.json');
  const words = ['bench', 'join', '--quick', '--case', 'regrouped,regrouped-slot,columns,keys,aligned', '--json', '-q'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...words, '-o', results], {
    encoding: 'utf8',
    timeout: RUN_MS_MAX,
    maxBuffer: 1 << 28,
    env: { ...process.env, TMPDIR: work },
  });
  const report = existsSync(results) ? (JSON.parse(readFileSync(results, 'utf8')) as BenchReport) : undefined;

  describe('bench join --quick', () => {
    it('ends well, prints its report and writes it', () => {
      expect(status, stderr.slice(-3000)).toBe(0);
      expect(JSON.parse(stdout.trimEnd().split('\n').at(-1)!)).toMatchObject({ type: 'summary', exit: 0, ...report });
    });

    it('names no directory of this machine in its results', () => {
      expect(JSON.stringify(report)).not.toMatch(new RegExp(`${work}|${TOP}|${process.env.HOME}`));
    });

    for (const { data, commands, skips, events, floor, floorRatios, ratios, rewritten } of report?.groups ?? []) {
      describe(data, () => {
        it('has the events and a floor', () => {
          expect(events).toBe(EVENTS);
          expect(floor!.cpuSeconds).toBeGreaterThan(0);
          expect(floor!.compress.bytesOut / floor!.storedBytes).toBeCloseTo(1, 1);
          expect(floorRatios[0]!.cpu.median).toBeGreaterThan(1);
          expect(rewritten!.standardBytes).toBeGreaterThan(1e6);
        });

        for (const command of commands) it(`${command.name} has its figures`, () => expectFigures(command));

        for (const { name } of PEERS) {
          const skip = skips.find((each) => each.name === name);
          if (skip !== undefined) it.skip(`${name} (skipped: ${skip.reason})`, () => {});
          else it(`${name} is compared`, () => expect(ratios.some(({ to }) => to === name)).toBe(true));
        }
      });
    }

    it('has one group for each set of files', () => {
      const names = report?.groups.map(({ data }) => data);
      expect(names).toEqual(['primary-zstd + friend-regrouped', 'primary-zstd + friend-aligned']);
    });
  });
}

function expectFigures({ name, role, runs, failed, check, peakBytes, wallSeconds }: CommandReport): void {
  expect(failed).toBeUndefined();
  expect(runs).toHaveLength(1);
  expect(wallSeconds.median).toBeGreaterThan(0.005);
  expect(peakBytes.median).toBeGreaterThan(20e6);
  expect(check?.ok ?? true, check?.text).toBe(true);
  // one that was put together of two runs was checked as the second of them
  if (runs[0]!.outputBytes > 0 && !name.endsWith('+conversion'))
    expect(check!.text).toContain(`${EVENTS} rows, 0 mixed`);
  if (role === 'colweave' && runs[0]!.outputBytes > 0) expect(check!.text).toContain('receipt verified');
}
