// Owns what the tests against real servers share: inputs that are the same in every run, onnxruntime's word for the truth, and a whole run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ColweaveError } from '../../src/core/errors.ts';
import type { WorkEvent } from '../../src/core/events.ts';
import type { Balance } from '../../src/infer/balance.ts';
import type { Policy } from '../../src/infer/policy.ts';
import { openServers } from '../../src/infer/start.ts';
import type { Tensor } from '../../src/infer/types.ts';
import { tritonModels, tritonPython } from './triton.ts';

const HERE = new URL('.', import.meta.url).pathname;
/** Floating point sums in another order, by the size of a batch. */
const NEAR = 1e-6;
export const never = new AbortController().signal;

/** The same numbers in every run, of both signs, some large. */
export function numbers(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state / 2 ** 31) * 3;
  });
}

export interface Case {
  readonly model: string;
  readonly version: string;
  readonly output: string;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly rows: number;
}

export const MLP: Case = { model: 'mlp', version: '1', output: 'score', inputs: { X: [20] }, rows: 2000 };
export const CASES: readonly Case[] = [
  MLP,
  { ...MLP, version: '2' },
  { ...MLP, model: 'mlp_nobatch' },
  { ...MLP, model: 'bdt', output: 'probabilities' },
  { ...MLP, model: 'jettag', output: 'probs', inputs: { jets: [20, 6], mask: [20] } },
  { ...MLP, model: 'edgeconv', output: 'probs', inputs: { jets: [20, 6] }, rows: 300 },
];

const width = (lengths: readonly number[]): number => lengths.reduce((a, b) => a * b, 1);

function inputsOf({ inputs, rows }: Case): Map<string, Float32Array> {
  return new Map(Object.entries(inputs).map(([name, lengths], n) => [name, numbers(rows * width(lengths), n + 1)]));
}

export function truthOf(each: Case): Float32Array {
  const python = tritonPython();
  const onnx = join(tritonModels(python), each.model.replace('_nobatch', ''), each.version, 'model.onnx');
  const work = mkdtempSync(join(tmpdir(), 'colweave-truth-'));
  const target = join(work, 'truth');
  const words = [...inputsOf(each)].map(([name, values]) => {
    writeFileSync(join(work, name), new Uint8Array(values.buffer));
    return `${name}=${join(work, name)}:${each.inputs[name]!.join(',')}`;
  });
  const ran = spawnSync(python, [join(HERE, 'triton', 'expect.py'), onnx, each.output, target, ...words], {
    encoding: 'utf8',
  });
  expect(ran.stderr).toBe('');
  const truth = new Float32Array(new Uint8Array(readFileSync(target)).buffer);
  rmSync(work, { recursive: true });
  return truth;
}

export interface OpenOptions {
  readonly version?: string;
  readonly policy?: Partial<Policy>;
}

export async function withServers<T>(
  urls: readonly string[],
  model: string,
  { version = '1', policy = {} }: OpenOptions,
  use: (balance: Balance, events: WorkEvent[]) => Promise<T>,
): Promise<T> {
  const events: WorkEvent[] = [];
  const balance = await openServers({ urls, model, version, policy, emit: (event) => events.push(event) }, never);
  try {
    return await use(balance, events);
  } finally {
    await balance.close();
  }
}

export interface PredictOptions {
  readonly batchRows?: number;
  /** Called in front of batch n, which waits for it. */
  readonly during?: (n: number) => void | Promise<void>;
}

/** All rows in batches, in order; whatever comes back is put where its rows are. */
export async function predict(
  balance: Balance,
  each: Case,
  { batchRows = 256, during = () => {} }: PredictOptions = {},
): Promise<Float32Array> {
  const inputs = inputsOf(each);
  const results: Float32Array[] = [];
  const pending: Promise<void>[] = [];
  for (let start = 0, n = 0; start < each.rows; start += batchRows, n++) {
    await balance.room(never);
    await during(n);
    const rows = Math.min(batchRows, each.rows - start);
    const tensors = [...inputs].map(([name, values]): Tensor => {
      const lengths = each.inputs[name]!;
      const bytes = new Uint8Array(values.buffer, 4 * start * width(lengths), 4 * rows * width(lengths));
      return { name, type: 'FP32', shape: [rows, ...lengths], bytes };
    });
    const request = { id: `r${n}`, model: each.model, version: each.version, inputs: tensors, outputs: [each.output] };
    const one = balance.infer(request, never).then(({ outputs }) => {
      expect(results[n]).toBeUndefined();
      results[n] = new Float32Array(outputs[0]!.bytes.slice().buffer);
    });
    one.catch(() => {});
    pending.push(one);
  }
  await Promise.all(pending);
  return Float32Array.from(results.flatMap((part) => [...part]));
}

export interface Meanwhile<T> {
  readonly during: (n: number) => Promise<void>;
  /** What `act` came to; it begins here if the run ended before. */
  readonly over: () => Promise<T>;
}

/** `act` begins in front of batch `from`, and batch `until` waits for its end: so that a quick run does not end before it. */
export function meanwhile<T>(from: number, until: number, act: () => Promise<T>): Meanwhile<T> {
  let acting: Promise<T> | undefined;
  const over = (): Promise<T> => {
    acting ??= act();
    return acting;
  };
  const during = async (n: number): Promise<void> => {
    if (n === from) over().catch(() => {});
    if (n === until) await over();
  };
  return { during, over };
}

export function expectNear(found: Float32Array, truth: Float32Array): void {
  expect(found.length).toBe(truth.length);
  let worst = 0;
  for (let i = 0; i < truth.length; i++) worst = Math.max(worst, Math.abs(found[i]! - truth[i]!));
  expect(worst).toBeLessThanOrEqual(NEAR);
}

export async function failureOf(promise: Promise<unknown>): Promise<ColweaveError> {
  const failure = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(failure).toBeInstanceOf(ColweaveError);
  return failure as ColweaveError;
}
