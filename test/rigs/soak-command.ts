// A long run of `colweave infer --resume` while servers fail (troubles.ts), and while the command itself is killed and begun again.
//   node test/rigs/soak-command.ts [--rows 5000000] [--protocol http|grpc] [--kills 3] [--batch-rows N] [--seconds-killed 10]
// Every score is found by its key and compared with onnxruntime's. Prints one line of JSON; exit 0 = all rows right, once each, and verified.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { WorkEvent } from '../../src/core/events.ts';
import { TOP } from './harness.ts';
import { tritonModels, tritonPython } from './triton.ts';
import { openTroubles, type Troubles } from './troubles.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const COLWEAVE = join(TOP, 'bin', 'colweave.js');
const COLUMNS = Array.from({ length: 20 }, (_, n) => `x${n}`);
const MODEL = `model: mlp\nversion: 1\ninputs:\n  X: {columns: [${COLUMNS.join(', ')}]}\noutputs: {score: score}\n`;
/** Of the output, with one score an event. */
const GROUP_ROWS = 131_072;
const LOOK_MS = 20;
/** Exit status: servers are busy or out of reach. */
const TRY_AGAIN = 75;
/** Runs that end by themselves before the last one. */
const STOPS_MAX = 20;

export interface SoakOptions {
  readonly rows: number;
  readonly protocol: 'http' | 'grpc';
  /** The command is killed so often, spread over its row groups. */
  readonly kills: number;
  readonly secondsKilled: number;
  readonly batchRows?: number;
}

export interface Soaked {
  readonly rows: number;
  readonly lost: number;
  readonly doubled: number;
  readonly wrong: number;
  /** The largest difference from onnxruntime's score. */
  readonly apart: number;
  readonly differentScores: number;
  /** Of the command, and of `verify`. */
  readonly exit: number;
  readonly verified: boolean;
  readonly kills: number;
  /** Why it ended by itself before it was done. */
  readonly stops: readonly string[];
  /** Events whose scores the last run took from those before. */
  readonly resumed: number;
  readonly serverKills: number;
  readonly exchanges: number;
  readonly seconds: number;
  /** Without a block of events becoming complete. */
  readonly longestGapSeconds: number;
  /** From a killed command's next start to its first new scores. */
  readonly resumeSeconds: readonly number[];
  /** From a killed server being ready to rows going there again; only of those that were up again before the next kill of either. */
  readonly recoverySeconds: readonly number[];
  readonly peakMegabytes: number;
  readonly warnings: Readonly<Record<string, number>>;
}

/** Errors: whatever keeps it from being tried at all. What went wrong in it is in the result. */
export async function soakCommand(options: SoakOptions): Promise<Soaked> {
  const { rows, protocol } = options;
  const work = mkdtempSync(join(tmpdir(), 'colweave-soak-'));
  const [input, raw, truth, model, output] = ['in.parquet', 'in.raw', 'truth.raw', 'model.yaml', 'out.parquet'].map(
    (name) => join(work, name),
  ) as [string, string, string, string, string];
  const peers = run(join(HERE, 'venv.sh')).trim();
  const python = tritonPython();
  const script = join(HERE, 'infer', 'soak_rows.py');
  let troubles: Troubles | undefined;
  try {
    run(peers, script, 'make', String(rows), input, raw);
    const onnx = join(tritonModels(python), 'mlp', '1', 'model.onnx');
    run(python, join(HERE, 'triton', 'expect.py'), onnx, 'score', truth, `X=${raw}:${COLUMNS.length}`);
    rmSync(raw);
    writeFileSync(model, MODEL);
    troubles = await openTroubles(options);
    const servers = troubles.servers.flatMap((server) => ['--server', server[protocol]]);
    const batch = options.batchRows === undefined ? [] : ['--batch-rows', String(options.batchRows)];
    const words = ['infer', input, '-m', model, ...servers, ...batch, '--spot-check', '0.1%', '--resume', '-o', output];
    const ran = await runKilled(words, { output, options, troubles });
    await troubles.end();
    const { restarts, exchanges } = troubles;
    troubles = undefined;
    const verified = spawnSync(process.execPath, [COLWEAVE, 'verify', output, '--against', input]).status === 0;
    const checked = existsSync(output) ? JSON.parse(run(peers, script, 'check', input, truth, output)) : {};
    return { ...checked, ...ran, verified, serverKills: restarts.length, exchanges };
  } finally {
    await troubles?.end();
    rmSync(work, { recursive: true });
  }
}

interface Killing {
  readonly output: string;
  readonly options: SoakOptions;
  readonly troubles: Troubles;
}

/** What one start of the command came to. */
interface Try {
  /** Undefined = it was killed by us. */
  readonly exit: number | undefined;
  /** Of the error that ended it. */
  readonly code: string | undefined;
  readonly begin: number;
  readonly end: number;
  /** When blocks of events became complete, those of an earlier run not counted. */
  readonly blocks: readonly number[];
  readonly lines: readonly { readonly at: number; readonly line: Line }[];
  readonly peakMegabytes: number;
}

type Line =
  | WorkEvent
  | { readonly type: 'error'; readonly code: string }
  | { readonly type: 'summary'; readonly done: { readonly resumed: number } };

async function runKilled(words: readonly string[], { output, options, troubles }: Killing) {
  const parts = (): number =>
    existsSync(`${output}.parts`)
      ? readdirSync(`${output}.parts`).filter((name) => name.endsWith('.scores')).length
      : 0;
  const groups = Math.ceil(options.rows / GROUP_ROWS);
  const tries: Try[] = [];
  for (let kills = 0; ; ) {
    const until = Math.max(1, Math.floor(((kills + 1) * groups) / (options.kills + 1)));
    const before = Math.min(options.rows, GROUP_ROWS * parts());
    const last = await tryOnce(words, before, () => kills < options.kills && parts() >= until);
    tries.push(last);
    if (last.exit === undefined) kills += 1;
    else if (!mayGoOn(last) || tries.length - kills > STOPS_MAX)
      return summed(tries, { kills, exit: last.exit }, troubles);
    else await sleep(1000);
  }
}

/** A start while another version is served is refused, and a run may find nobody for too long: the reason is told, and --resume goes on. */
function mayGoOn({ exit, code }: Try): boolean {
  return exit === TRY_AGAIN || code === 'infer/version-differs';
}

async function tryOnce(words: readonly string[], before: number, isEnough: () => boolean): Promise<Try> {
  const begin = performance.now();
  const child = spawn(process.execPath, [COLWEAVE, ...words, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | undefined>((resolve) => child.once('close', (code) => resolve(code ?? undefined)));
  let peakMegabytes = 0;
  const look = setInterval(() => {
    peakMegabytes = Math.max(peakMegabytes, peakOf(child));
    if (isEnough()) child.kill('SIGKILL');
  }, LOOK_MS);
  const lines: { at: number; line: Line }[] = [];
  for await (const text of createInterface(child.stdout)) {
    // a killed command may end within a line
    if (text.endsWith('}')) lines.push({ at: performance.now(), line: JSON.parse(text) as Line });
  }
  const exit = await ended;
  clearInterval(look);
  const progress = lines.flatMap(({ at, line }) =>
    line.type === 'progress' && line.stage === 'infer' && line.done > before ? [at] : [],
  );
  const error = lines.findLast(({ line }) => line.type === 'error')?.line;
  const code = error?.type === 'error' ? error.code : undefined;
  return { exit, code, begin, end: performance.now(), blocks: progress, lines, peakMegabytes };
}

function peakOf({ pid }: ChildProcess): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0; // it has just ended
  }
}

function summed(
  tries: readonly Try[],
  { kills, exit }: { readonly kills: number; readonly exit: number },
  { servers, restarts }: Troubles,
) {
  const lines = tries.flatMap((each) => each.lines);
  const blocks = tries.flatMap((each) => each.blocks);
  const urls = servers.slice(0, 1).flatMap(({ http, grpc }) => [http, grpc]);
  const backs = lines.flatMap(({ at, line }) =>
    line.type === 'note' && urls.some((url) => line.text.startsWith(`${url}: serves`)) ? [at] : [],
  );
  const warnings: Record<string, number> = {};
  for (const { line } of lines) {
    if (line.type === 'warning') warnings[line.code] = (warnings[line.code] ?? 0) + 1;
  }
  return {
    exit,
    kills,
    stops: tries.slice(0, -1).flatMap(({ code }) => (code === undefined ? [] : [code])),
    resumed: lines.reduce((last, { line }) => (line.type === 'summary' ? line.done.resumed : last), 0),
    seconds: seconds(tries.at(-1)!.end - tries[0]!.begin),
    longestGapSeconds: seconds(Math.max(...blocks.map((at, n) => at - (blocks[n - 1] ?? tries[0]!.begin)))),
    resumeSeconds: tries
      .slice(1)
      .flatMap(({ begin, blocks: [first] }) => (first === undefined ? [] : [seconds(first - begin)])),
    recoverySeconds: backs.flatMap((at) => {
      const [nearest] = [...restarts].sort((a, b) => Math.abs(a - at) - Math.abs(b - at));
      return nearest === undefined ? [] : [seconds(Math.max(0, at - nearest))];
    }),
    peakMegabytes: Math.round(Math.max(...tries.map((each) => each.peakMegabytes))),
    warnings,
  };
}

const seconds = (ms: number): number => Math.round(ms) / 1000;

function run(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${words[0]}: ${stderr}`);
  return stdout;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '5000000' },
      protocol: { type: 'string', default: 'http' },
      kills: { type: 'string', default: '3' },
      'batch-rows': { type: 'string' },
      'seconds-killed': { type: 'string', default: '10' },
    },
  });
  const { protocol, 'batch-rows': batchRows } = values;
  if (protocol !== 'http' && protocol !== 'grpc') throw new Error('--protocol is http or grpc');
  const soaked = await soakCommand({
    rows: Number(values.rows),
    protocol,
    kills: Number(values.kills),
    secondsKilled: Number(values['seconds-killed']),
    ...(batchRows === undefined ? {} : { batchRows: Number(batchRows) }),
  });
  process.stdout.write(`${JSON.stringify({ ...soaked, protocol })}\n`);
  const { lost, doubled, wrong, exit, verified } = soaked;
  process.exitCode = exit === 0 && verified && lost + doubled + wrong === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
