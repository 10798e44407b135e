// A long run of the client alone while servers fail (troubles.ts).
//   node test/rigs/soak.ts [--rows 5000000] [--batch 2048] [--protocol http|grpc] [--seconds-killed 10]
// Every score is compared with onnxruntime's for the same row. Prints one line of JSON; exit 0 = all rows right, once each.
import { parseArgs } from 'node:util';
import type { WorkEvent } from '../../src/core/events.ts';
import { openServers } from '../../src/infer/start.ts';
import { MLP, numbers, truthOf } from './predict.ts';
import { openTroubles } from './troubles.ts';

/** Rows that differ; batches begin anywhere among them, so that two batches are never the same. */
const ROWS = 100_000;
const WIDTH = 20;
const NEAR = 1e-6;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '5000000' },
      batch: { type: 'string', default: '2048' },
      protocol: { type: 'string', default: 'http' },
      'seconds-killed': { type: 'string', default: '10' },
    },
  });
  const truth = truthOf({ ...MLP, rows: ROWS });
  const troubles = await openTroubles({ secondsKilled: Number(values['seconds-killed']) });
  try {
    const urls = troubles.servers.map((server) => server[values.protocol === 'grpc' ? 'grpc' : 'http']);
    const said = await run({ urls, truth, rows: Number(values.rows), batch: Number(values.batch) });
    process.stdout.write(`${JSON.stringify({ ...said, protocol: values.protocol })}\n`);
    process.exitCode = said.wrong + said.lost + said.doubled > 0 ? 1 : 0;
  } finally {
    await troubles.end();
  }
}

interface Run {
  readonly urls: readonly string[];
  readonly truth: Float32Array;
  readonly rows: number;
  readonly batch: number;
}

async function run({ urls, truth, rows, batch }: Run) {
  const never = new AbortController().signal;
  const events: WorkEvent[] = [];
  const emit = (event: WorkEvent): void => void events.push(event);
  const policy = { spotFraction: 0.001 };
  const balance = await openServers({ urls, model: 'mlp', version: '1', policy, emit }, never);
  const input = numbers(ROWS * WIDTH);
  const answers = new Uint8Array(Math.ceil(rows / batch));
  let wrong = 0;
  const start = performance.now();
  const times: number[] = [];
  const pending = new Set<Promise<void>>();
  let failure: unknown;
  for (let n = 0; n < answers.length && failure === undefined; n++) {
    await balance.room(never);
    const count = Math.min(batch, rows - n * batch);
    const first = (n * 7919) % (ROWS - batch);
    const bytes = new Uint8Array(input.buffer, 4 * WIDTH * first, 4 * WIDTH * count);
    const X = { name: 'X', type: 'FP32', shape: [count, WIDTH], bytes } as const;
    const request = { id: `r${n}`, model: 'mlp', version: '1', inputs: [X], outputs: ['score'] };
    const work = balance.infer(request, never).then(
      ({ outputs }) => {
        const scores = new Float32Array(outputs[0]!.bytes.slice().buffer);
        for (let row = 0; row < count; row++) if (!(Math.abs(scores[row]! - truth[first + row]!) <= NEAR)) wrong += 1;
        answers[n] = answers[n]! + 1;
        times.push(performance.now());
        pending.delete(work);
      },
      (cause: unknown) => {
        failure ??= cause;
      },
    );
    pending.add(work);
  }
  await Promise.all(pending);
  if (failure !== undefined) throw failure;
  const report = await balance.finish({ outputs: ['score'] }, never);
  await balance.close();
  const gaps = times.map((time, at) => time - (times[at - 1] ?? start));
  return {
    rows,
    wrong,
    lost: answers.filter((count) => count === 0).length,
    doubled: answers.filter((count) => count > 1).length,
    seconds: Math.round(performance.now() - start) / 1000,
    longestGapSeconds: Math.round(Math.max(...gaps)) / 1000,
    ...report,
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
    warnings: events.filter(({ type }) => type === 'warning').length,
  };
}

await main();
