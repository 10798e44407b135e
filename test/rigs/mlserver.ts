// The rig of a second server, MLServer on loopback: it knows no binary tensors over HTTP, no versions in metadata, no configuration.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts, rigPython, ServerProcess } from './server-process.ts';

const HERE = dirname(fileURLToPath(import.meta.url));

export interface MlServer {
  readonly http: string;
  readonly grpc: string;
  stop(): Promise<void>;
}

/** `models` = path of the ONNX file by name; each is served as version 1. */
export async function startMlServer(models: Readonly<Record<string, string>>): Promise<MlServer> {
  const python = rigPython('requirements-mlserver.txt');
  const folder = mkdtempSync(join(tmpdir(), 'colweave-mlserver-'));
  const [http, grpc, metrics] = (await freePorts(3)) as [number, number, number];
  const settings = { host: '127.0.0.1', http_port: http, grpc_port: grpc, metrics_port: metrics, parallel_workers: 0 };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify({ ...settings, debug: false }));
  copyFileSync(join(HERE, 'mlserver', 'onnx_runtime.py'), join(folder, 'onnx_runtime.py'));
  for (const [name, uri] of Object.entries(models)) {
    mkdirSync(join(folder, name));
    const model = { name, implementation: 'onnx_runtime.OnnxModel', parameters: { uri, version: '1' } };
    writeFileSync(join(folder, name, 'model-settings.json'), JSON.stringify(model));
  }
  const server = new ServerProcess({
    name: 'mlserver',
    words: [join(dirname(python), 'mlserver'), 'start', folder],
    env: { PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
    readyUrl: `http://127.0.0.1:${http}/v2/health/ready`,
    clean: () => rmSync(folder, { recursive: true, force: true }),
  });
  await server.start();
  return { http: `http://127.0.0.1:${http}`, grpc: `grpc://127.0.0.1:${grpc}`, stop: () => server.end('SIGKILL') };
}
