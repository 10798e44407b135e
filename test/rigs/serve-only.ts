// Owns what an operator does to a running server: loading and unloading models, and serving one version in place of others.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Triton } from './triton.ts';

export async function control(server: Triton, model: string, what: 'load' | 'unload'): Promise<void> {
  const answer = await fetch(`${server.http}/v2/repository/models/${model}/${what}`, { method: 'POST', body: '{}' });
  if (answer.status !== 200) throw new Error(`${what} ${model}: ${await answer.text()}`);
}

/** Serves one version alone until the returned function is called. */
export async function serveOnly(server: Triton, model: string, version: number): Promise<() => Promise<void>> {
  const config = join(server.repository, model, 'config.pbtxt');
  const text = readFileSync(config, 'utf8');
  const only = `version_policy: { specific { versions: [${version}] } }`;
  writeFileSync(config, text.replace(/version_policy.*/, only));
  await control(server, model, 'load');
  return async () => {
    writeFileSync(config, text);
    await control(server, model, 'load');
  };
}
