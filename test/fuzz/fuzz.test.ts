// A short fuzz run over every reader and fixture, the same each time; `npm run fuzz` is the long one.
import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';

test('damaged files end in coded errors or right data, in bounded time and memory', async () => {
  const { bugs, cases, tallies } = await fuzz({ seed: 20261125, cases: 350, jobs: 2, only: '', data: false });
  expect(bugs.map(({ subject, number, kind, bug }) => `${subject}#${number} (${kind}): ${bug}`)).toEqual([]);
  expect(cases).toBeGreaterThanOrEqual(350);
  const readers = new Set(tallies.map(({ reader }) => reader));
  for (const reader of ['root-ttree', 'parquet', 'arrow', 'receipt', 'codec xz']) expect(readers).toContain(reader);
  // a run in which nothing is refused, or nothing is read, tests nothing
  const outcomes = tallies.flatMap((tally) => Object.keys(tally.outcomes));
  for (const outcome of ['right', 'source/damaged', 'source/truncated']) expect(outcomes).toContain(outcome);
}, 120_000);
