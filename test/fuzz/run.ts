// Owns the fuzz run: `npm run fuzz` reads damaged files in child processes under limits and says what became of each.
//   npm run fuzz -- [--cases N] [--seed S] [--jobs N] [--only TEXT] [--json FILE]
//   npm run fuzz -- --seed S --case SUBJECT#NUMBER [--keep FILE]     one case again
// Exit 1 where a case was neither right data nor a coded error, took too long or too much memory.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type FuzzReport, fuzz } from './fuzz.ts';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '24000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    jobs: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    case: { type: 'string' },
    keep: { type: 'string' },
    json: { type: 'string' },
  },
});

function table({ tallies }: FuzzReport): string {
  const lines = ['reader               kind             cases  outcomes'];
  for (const { reader, kind, cases, outcomes } of tallies) {
    const sorted = Object.entries(outcomes).sort(([, left], [, right]) => right - left);
    const said = sorted.map(([outcome, count]) => `${outcome} ${count}`).join(', ');
    lines.push(`${reader.padEnd(20)} ${kind.padEnd(14)} ${String(cases).padStart(7)}  ${said}`);
  }
  return lines.join('\n');
}

const seed = Number(options.seed);
console.log(`seed ${seed}`);
const report = await fuzz({
  seed,
  cases: Number(options.cases),
  jobs: Number(options.jobs),
  only: options.only,
  data: true,
  ...(options.case === undefined ? {} : { single: options.case }),
  ...(options.keep === undefined ? {} : { keep: options.keep }),
  onBug: ({ subject, number, kind, bug }) => {
    console.log(`\nBUG ${subject} (${kind}): ${bug}`);
    console.log(`  again: npm run fuzz -- --seed ${seed} --case '${subject}#${number}'`);
  },
});
if (options.case === undefined) console.log(`\n${table(report)}\n`);
else console.log(JSON.stringify(report.last));
console.log(`${report.cases} cases, ${report.bugs.length} bugs, seed ${seed}, ${Math.round(report.seconds)} s`);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
process.exitCode = report.bugs.length > 0 ? 1 : 0;
