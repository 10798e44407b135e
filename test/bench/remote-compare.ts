// Owns comparing ours with a peer over the network, in turns, in fresh processes, and telling it as one line of JSON.
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { TOP } from '../rigs/harness.ts';
import { serveFile, type XrootdRig } from '../rigs/xrootd.ts';

const WHOLE_BYTES = 200_000_000;
/** Two of the primary and two of the friend. */
export const COLUMNS = 'Jet_pt,MET_pt,dnn_score,Jet_unc_total';
const FOLDERS = ['primary-zstd', 'friend-aligned'];

export interface Result {
  readonly what: string;
  readonly seconds: number | readonly number[];
  readonly sum?: string;
  readonly checksum?: number;
  /** Bytes of the columns' baskets, and of all that a reader needs for them. */
  readonly baskets?: number;
  readonly needed?: number;
  readonly traffic?: readonly (readonly [string, { readonly bytesTravelled: number; readonly requests: number }])[];
}

/** Waits for the end; servers must run in processes of their own. */
export function child(command: string, words: readonly string[], env: Readonly<Record<string, string>> = {}): Result {
  const { stdout, stderr, status } = spawnSync(command, words, {
    cwd: TOP,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`${words[0]} failed: ${stderr}`);
  return JSON.parse(stdout) as Result;
}

/** A script beside this one. */
export const script = (name: string, words: readonly string[], env?: Readonly<Record<string, string>>): Result =>
  child(process.execPath, ['--no-warnings', join('test/bench', name), ...words], env);

const secondsOf = ({ seconds }: Result): number => (typeof seconds === 'number' ? seconds : Math.min(...seconds));
const round = (value: number): number => Math.round(value * 1000) / 1000;

/** In turns, so that both meet the same machine; the best of each counts. Values and sums must be equal. */
export function compare(name: string, rounds: number, own: () => Result, peer: () => Result): void {
  const results = Array.from({ length: rounds }, () => [own(), peer()] as const);
  for (const [left, right] of results) {
    if (left.sum !== right.sum || left.checksum !== right.checksum) throw new Error(`${name}: values differ`);
  }
  const [first, second] = [0, 1].map((side) => Math.min(...results.map((pair) => secondsOf(pair[side]!))));
  const [[left, right]] = results as [readonly [Result, Result]];
  const travelled = left.traffic?.reduce((sum, [, traffic]) => sum + traffic.bytesTravelled, 0);
  process.stdout.write(
    `${JSON.stringify({
      case: name,
      colweave: round(first!),
      [right.what]: round(second!),
      speed: round(second! / first!),
      ...(right.needed === undefined
        ? {}
        : {
            needed: right.needed,
            travelled,
            over: round(travelled! / right.needed - 1),
            overBaskets: round(travelled! / right.baskets! - 1),
          }),
      all: results.map((pair) => pair.map((result) => round(secondsOf(result)))),
      load: round(loadavg()[0]!),
    })}\n`,
  );
}

/** Puts 200 MB that nothing makes smaller on the server; gives its path there. */
export function serveWhole(rig: XrootdRig): string {
  const big = join(rig.dir, 'big.bin');
  writeFileSync(big, randomFillSync(Buffer.alloc(WHOLE_BYTES)));
  return serveFile(rig, big, 'big.bin');
}

/** Puts the files of make_data.py on the server; gives their paths there. */
export function serveData(rig: XrootdRig, data: string): readonly string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(data, folder)).map((name) => serveFile(rig, join(data, folder, name), `${folder}/${name}`)),
  );
}
