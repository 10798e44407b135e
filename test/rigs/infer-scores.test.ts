// Scores of real models by the real tritonserver, over HTTP and gRPC: what onnxruntime in Python says, each on its own event.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTriton, type Triton, tritonModels, tritonPython } from './triton.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const TOP = dirname(dirname(HERE));
const NANO = [1, 2, 3].map((n) => join(TOP, 'fixtures', `nano_${n}.root`));
const MODELS = ['mlp', 'bdt', 'jettag', 'edgeconv'] as const;
const EXPECTED = join(HERE, 'infer', 'expected.py');

const folder = mkdtempSync(join(tmpdir(), 'colweave-scores-'));
let triton: Triton | undefined;
let python = '';

const run = (program: string, ...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', cwd: folder });
  return { status, stdout, stderr };
};
const colweave = (...words: string[]) => run(process.execPath, join(TOP, 'bin', 'colweave.js'), ...words);
const good = (ran: ReturnType<typeof run>) => {
  expect(ran.status, ran.stderr).toBe(0);
  return ran.stdout;
};

beforeAll(async () => {
  const peers = run(join(HERE, 'venv.sh'));
  python = good(peers).trim();
  good(run(python, EXPECTED, 'tensors', join(folder, 'tensors.npz'), ...NANO));
  const rig = tritonPython();
  good(run(rig, EXPECTED, 'score', tritonModels(rig), join(folder, 'tensors.npz'), join(folder, 'scores.npz')));
  triton = await startTriton({ models: MODELS });
});
afterAll(async () => {
  await triton?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(['http', 'grpc'] as const)('%s', (protocol) => {
  it.each(MODELS)('%s: every event has the score that onnxruntime gives it', (model) => {
    const output = join(folder, `${model}-${protocol}.parquet`);
    const file = join(HERE, 'infer', `${model}.yaml`);
    const words = ['--model', file, '--server', triton![protocol], '--model-version', '1', '--batch-rows', '37'];
    const said = good(colweave('infer', ...NANO, ...words, '--spot-check', '20%', '-o', output));
    expect(said).toContain(`${model} version 1: 300 events, ${protocol}, 9 requests`);
    expect(said).toMatch(/spot check: \d+ rows asked again, all agree/);
    expect(good(run(python, EXPECTED, 'compare', join(folder, 'scores.npz'), model, output))).toMatch(
      new RegExp(`^${model}: 300 events, (1\\d\\d|2\\d\\d|300) different scores`),
    );
    good(colweave('verify', output, '--against', ...NANO));
  });

  it('one event a request gives the same', () => {
    const output = join(folder, `one-${protocol}.parquet`);
    const file = join(HERE, 'infer', 'mlp.yaml');
    const said = good(colweave('infer', ...NANO, '-m', file, '-s', triton![protocol], '--per-event', '-o', output));
    expect(said).toContain('300 requests');
    good(run(python, EXPECTED, 'compare', join(folder, 'scores.npz'), 'mlp', output));
  });
});

it('scores join by event, whatever the order of the files', () => {
  const scores = join(folder, 'mlp-http.parquet');
  const joined = join(folder, 'joined.parquet');
  good(colweave('join', ...[...NANO].reverse(), '--with', scores, '--how', 'inner', '--expect', '1:1', '-o', joined));
  good(colweave('verify', joined, '--against', ...NANO, scores));
  good(run(python, EXPECTED, 'compare', join(folder, 'scores.npz'), 'mlp', joined));
});

it('rows are scored while they are joined', () => {
  const joined = join(folder, 'scored.parquet');
  const file = join(HERE, 'infer', 'jettag.yaml');
  const words = ['--with', join(folder, 'mlp-grpc.parquet'), '--infer', file, '--server', triton!.grpc, '-o', joined];
  expect(good(colweave('join', ...NANO, ...words))).toContain('scores of jettag: 300 rows in 1 request');
  good(run(python, EXPECTED, 'compare', join(folder, 'scores.npz'), 'jettag', joined));
  good(run(python, EXPECTED, 'compare', join(folder, 'scores.npz'), 'mlp', joined));
  good(colweave('verify', joined, '--against', ...NANO, join(folder, 'mlp-grpc.parquet')));
});

it('a description is a model file for the same tensors', () => {
  const text = good(colweave('infer', '--describe', triton!.grpc, 'jettag'));
  expect(text).toBe(good(colweave('infer', '--describe', triton!.http, 'jettag')));
  expect(text).toContain('    pad: 20\n');
  expect(text).toContain('    mask: mask\n');
  expect(text).toContain('max-batch-size: 8192\n');
});

it('a model file for other tensors is refused before any row is sent', () => {
  const ran = colweave(
    'infer',
    ...NANO,
    '-m',
    join(HERE, 'infer', 'wrong.yaml'),
    '-s',
    triton!.http,
    '-o',
    'x.parquet',
  );
  expect(ran.status).toBe(3);
  expect(ran.stderr).toContain('infer/model-differs: the model jettag differs: input "jets" is [N, 20, 6]');
});
