// Scores of the four models for many events of real NanoAOD layout, over HTTP and gRPC: every one equal to onnxruntime's, found by its key.
//   node test/rigs/infer-million.ts --data DIR [--rows 1000000] [--models mlp,bdt,jettag,edgeconv] [--protocols http,grpc]
// DIR/*.root are those of test/bench/make_data.py (primary-zstd); so many whole files are taken as have the rows. Tolerance: 1e-6 + 1e-5 of the score.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TOP } from './harness.ts';
import { startTriton, tritonModels, tritonPython } from './triton.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const FILE_ROWS = 100_000;
/** As FLATS[1] of infer/expected.py. */
const FLAT = `inputs:
  X:
    columns:
      - genWeight
      - {column: Pileup_nTrueInt, scale: 0.05, shift: -1.5}
      - {column: Pileup_nPU, scale: 0.05, shift: -1.5}
      - {column: PV_npvs, scale: 0.05, shift: -1.5}
      - {column: PV_x, scale: 10}
      - {column: PV_z, scale: 0.25}
      - {column: fixedGridRhoFastjetAll, scale: 0.05, shift: -1}
      - {column: MET_pt, log: log1p}
      - MET_phi
      - {column: MET_sumEt, log: log1p}
      - HLT_IsoMu24
      - HLT_IsoMu27
      - HLT_Ele32_WPTight_Gsf
      - HLT_Mu50
      - HLT_PFMET120_PFMHT120_IDTight
      - HLT_PFHT1050
      - HLT_Ele115_CaloIdVT_GsfTrkIdT
      - HLT_Photon200
      - {column: nJet, scale: 0.2}
      - nMuon
`;
const FLAT_MODELS: Readonly<Record<string, string>> = {
  mlp: `model: mlp\nversion: 1\n${FLAT}outputs: {score: mlp_score}\n`,
  bdt: `model: bdt\nversion: 1\n${FLAT}outputs: {probabilities: {columns: [bdt_0, bdt_1]}}\n`,
};

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: '' },
    rows: { type: 'string', default: '1000000' },
    models: { type: 'string', default: 'mlp,bdt,jettag,edgeconv' },
    protocols: { type: 'string', default: 'http,grpc' },
  },
});
const models = values.models.split(',');
const files = readdirSync(values.data)
  .filter((name) => name.endsWith('.root'))
  .sort()
  .slice(0, Math.ceil(Number(values.rows) / FILE_ROWS))
  .map((name) => join(values.data, name));
const work = mkdtempSync(join(tmpdir(), 'colweave-million-'));
const [tensors, truth] = [join(work, 'tensors.npz'), join(work, 'scores.npz')];
const expected = join(HERE, 'infer', 'expected.py');

function run(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${words.slice(0, 2).join(' ')}: ${stderr}`);
  return stdout;
}
const colweave = (...words: string[]): string => run(process.execPath, join(TOP, 'bin', 'colweave.js'), ...words);

function modelFile(model: string): string {
  const text = FLAT_MODELS[model];
  if (text === undefined) return join(HERE, 'infer', `${model}.yaml`);
  const path = join(work, `${model}.yaml`);
  writeFileSync(path, text);
  return path;
}

try {
  const peers = run(join(HERE, 'venv.sh')).trim();
  const python = tritonPython();
  run(peers, expected, 'tensors', tensors, ...files);
  run(python, expected, 'score', tritonModels(python), tensors, truth, values.models);
  const triton = await startTriton({ models });
  try {
    for (const model of models)
      for (const protocol of values.protocols.split(',')) {
        const output = join(work, `${model}-${protocol}.parquet`);
        const server = triton[protocol === 'grpc' ? 'grpc' : 'http'];
        const words = ['-m', modelFile(model), '-s', server, '--spot-check', '0.1%', '-o', output];
        const start = performance.now();
        colweave('infer', ...files, ...words);
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        colweave('verify', output, '--against', ...files);
        const said = run(peers, expected, 'compare', truth, model, output).trim();
        process.stdout.write(`${said}; ${protocol}, ${seconds} s, verified, load ${loadavg()[0]!.toFixed(1)}\n`);
        rmSync(output);
      }
  } finally {
    await triton.stop();
  }
} finally {
  rmSync(work, { recursive: true });
}
