// A short run of `npm run mutate`: every kind of corruption, an instance each, by chance but from a fixed seed.
import { rmSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { runCampaign } from './mutation/campaign.ts';
import { scratch } from './mutation/harness.ts';

const EACH = 1;
const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));

it('every corruption is found, no untouched output raises an alarm', { timeout: 120_000 }, async () => {
  const options = { folder, seed: 7, each: EACH, againstEvery: 1, say: () => {} };
  const { kinds, untouched, rewritten } = await runCampaign(options);
  expect(kinds.length).toBeGreaterThanOrEqual(59);
  expect(
    kinds.filter(
      ({ n, byReceipt, found, against, againstFound }) =>
        n < EACH || (byReceipt && found < n) || (!byReceipt && against === 0) || againstFound < against,
    ),
  ).toEqual([]);
  expect([untouched.alarms, rewritten.alarms]).toEqual([[], []]);
});
