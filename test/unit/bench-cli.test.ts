// From a command line of bench to its options, and from a report to text.
import { expect, test } from 'vitest';
import { reportOf } from '../../src/bench/rounds.ts';
import { ratioOf, spreadOf } from '../../src/bench/statistics.ts';
import type { BenchOptions, BenchReport, FloorOptions } from '../../src/bench/types.ts';
import { parseAndRun } from '../../src/cli/parse.ts';
import { renderBench } from '../../src/cli/render-bench.ts';

async function parsed(line: string): Promise<BenchOptions | FloorOptions> {
  let seen: BenchOptions | FloorOptions | undefined;
  const keep = async (options: BenchOptions | FloorOptions) => {
    seen = options;
  };
  const never = async () => expect.fail('another command');
  await parseAndRun(
    line.split(' '),
    {
      join: never,
      verify: never,
      schema: never,
      fetch: never,
      cacheTask: never,
      infer: never,
      describe: never,
      benchJoin: keep,
      benchFloor: keep,
    },
    () => {},
  );
  return seen!;
}

test('bench join: what is not said has its default', async () => {
  expect(await parsed('bench join --quick')).toEqual({
    primary: [],
    friend: [],
    events: 1_000_000,
    seed: 20260101,
    cases: [],
    joinWords: [],
    rounds: 5,
    quick: true,
    bars: false,
    force: false,
  });
});

test('bench join: sources take words up to the next option, and what stands behind -- is for join', async () => {
  const line =
    'bench join --primary a b --friend c --case lzma,keys --case aligned --peers none --rounds 3 --peer-threads 4 ' +
    '--work w --python p --tree T --bars -f -o r.json -- -j 2 --memory 1G';
  expect(await parsed(line)).toEqual({
    primary: ['a', 'b'],
    friend: ['c'],
    tree: 'T',
    events: 1_000_000,
    seed: 20260101,
    cases: ['lzma', 'keys', 'aligned'],
    joinWords: ['-j', '2', '--memory', '1G'],
    peers: ['none'],
    peerThreads: 4,
    python: 'p',
    rounds: 3,
    quick: false,
    bars: true,
    work: 'w',
    output: 'r.json',
    force: true,
  });
});

test('bench floor wants all three', async () => {
  expect(await parsed('bench floor --primary a --friend b --joined c')).toEqual({
    primary: ['a'],
    friend: ['b'],
    joined: 'c',
  });
  await expect(parsed('bench floor --primary a --friend b')).rejects.toThrow('wants --primary, --friend and --joined');
});

const run = (wallSeconds: number) => ({
  wallSeconds,
  userSeconds: wallSeconds,
  systemSeconds: 0,
  peakBytes: 2e8,
  othersSeconds: 0,
  outputBytes: 5e6,
});

test('the report as text: commands, ratios, checks, skips, bars', () => {
  const ours = {
    ...reportOf({ name: 'regrouped', role: 'colweave', does: 'two threads' }, { runs: [run(1), run(2)], stdout: '' }),
    check: { ok: true, text: '1000 rows, 0 mixed; receipt verified' },
  };
  const peer = reportOf({ name: 'duckdb', role: 'peer', does: 'SQL' }, { runs: [run(2), run(4)], stdout: '' });
  const broken = reportOf({ name: 'polars', role: 'peer', does: '' }, { runs: [], stdout: '', failed: 'exit 1: no' });
  const report: BenchReport = {
    what: 'join',
    quick: false,
    rounds: 2,
    machine: {
      cores: 2,
      processor: 'P',
      memoryBytes: 8e9,
      system: 'linux',
      colweave: '0.1.0',
      build: 'abcdef0123456789',
      buildChanged: true,
      node: 'v24',
      packages: {},
      loadBefore: [0.5, 0, 0],
      loadAfter: [1, 0, 0],
      measuredBy: 'wait4',
    },
    groups: [
      {
        data: 'given',
        inputs: [{ role: 'primary', files: 1, bytes: 5e6, fingerprint: '0123456789abcdef' }],
        events: 1000,
        commands: [ours, peer, broken],
        ratios: [ratioOf(ours, peer)],
        floorRatios: [],
        rewritten: { smallGroupsBytes: 10e6, standardBytes: 8e6, colweaveBytes: 5e6 },
        skips: [{ name: 'pyarrow', reason: 'not installed: pyarrow' }],
      },
    ],
    bars: [
      { case: 'regrouped', what: 'wall / duckdb', limit: 0.9, value: spreadOf([0.5]).median, verdict: 'hold' },
      { case: 'lzma', what: 'peak MB', limit: 500, verdict: 'not measured', reason: 'it failed' },
    ],
  };
  expect(renderBench(report)).toMatchInlineSnapshot(`
    [
      "bench join: 2 rounds, interleaved, each run a fresh process",
      "  2 cores (P), 8.0 GB, linux; load 0.5 before, 1.0 after",
      "  colweave 0.1.0 (build abcdef012345, CHANGED meanwhile), Node v24",
      "  measured by wait4",
      "",
      "given: 1,000 events; primary 1 file, 5.0 MB (sha256 0123456789ab)",
      "  command               wall s              cpu s  peak MB  out MB  kHz  what it does",
      "  regrouped  1.50 (1.00..2.00)  1.50 (1.00..2.00)      200     5.0    1  two threads",
      "  duckdb     3.00 (2.00..4.00)  3.00 (2.00..4.00)      200     5.0    0  SQL",
      "  everything else on the machine used 0.00 of a core meanwhile",
      "  polars failed: exit 1: no",
      "  right: regrouped: 1000 rows, 0 mixed; receipt verified",
      "ratios, median of the rounds (least..most):",
      "                      wall   cpu  peak",
      "  regrouped / duckdb  0.50  0.50  1.00",
      "size: 5.0 MB = 0.625 of pyarrow's default zstd file, 0.500 of one with row groups of 100,000",
      "  skipped: pyarrow: not installed: pyarrow",
      "",
      "bars:",
      "  regrouped  wall / duckdb  0.500  <= 0.90  hold",
      "  lzma       peak MB               <= 500   not measured: it failed",
    ]
  `);
});
