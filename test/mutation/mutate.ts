// The long run, `npm run mutate [-- --each N --seed S --against EVERY]`: a table of kinds, instances and detections; exit 1 for a miss or an alarm.
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import { scratch } from './harness.ts';

const { values } = parseArgs({
  options: {
    each: { type: 'string', default: '100' },
    against: { type: 'string', default: '10' },
    seed: { type: 'string', default: '20260101' },
  },
});
const folder = scratch();
const started = Date.now();
console.log(`seed ${values.seed}, ${values.each} instances of each kind`);
const { kinds, untouched, rewritten } = await runCampaign({
  folder,
  seed: Number(values.seed),
  each: Number(values.each),
  againstEvery: Number(values.against),
  say: (line) => console.log(line),
});
rmSync(folder, { recursive: true });
const sum = (pick: (kind: (typeof kinds)[number]) => number) => kinds.reduce((total, kind) => total + pick(kind), 0);
const missed = [...kinds.flatMap((kind) => kind.missed), ...untouched.alarms, ...rewritten.alarms];
console.log(
  `${kinds.length} kinds: ${sum(({ found }) => found)} of ${sum(({ n, byReceipt }) => (byReceipt ? n : 0))} found by the receipt, ${sum(({ againstFound }) => againstFound)} of ${sum(({ against }) => against)} against the sources`,
);
console.log(
  `untouched: ${untouched.n}, alarms ${untouched.alarms.length}; written again: ${rewritten.n}, alarms ${rewritten.alarms.length}; ${Math.round((Date.now() - started) / 1000)} s`,
);
for (const line of missed) console.log(`MISSED ${line}`);
process.exitCode = missed.length > 0 || kinds.some(({ n }) => n < Number(values.each)) ? 1 : 0;
