// Owns the manifest of a fetch: what was read from where, and what it became. Written whole, after each file.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { canonicalJson, type FileIdentity } from '../core/receipt.ts';
import { TOOL } from './version.ts';
import { readIfThere, writeIfOther } from './whole-file.ts';

export interface ManifestFile {
  /** Without credentials. */
  readonly uri: string;
  readonly identities: readonly FileIdentity[];
  /** Name beside the manifest. */
  readonly output: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** fetch/1. No clock, host or absolute path, so that the same fetch gives the same manifest. */
export interface Manifest {
  readonly format: 'fetch/1';
  readonly tool: string;
  /** All files are there. */
  readonly complete: boolean;
  readonly columns: readonly string[];
  readonly files: readonly ManifestFile[];
  /** Those that are not there, and why. */
  readonly failed: readonly { readonly uri: string; readonly code: string }[];
}

export function writeManifest(path: string, about: Omit<Manifest, 'format' | 'tool'>): void {
  writeIfOther(path, `${canonicalJson({ format: 'fetch/1', tool: TOOL, ...about })}\n`);
}

/** Undefined where there is none, or it is no manifest. */
export function readManifest(path: string): Manifest | undefined {
  try {
    const manifest = JSON.parse(readIfThere(path) ?? '') as Manifest;
    return manifest.format === 'fetch/1' && Array.isArray(manifest.files) ? manifest : undefined;
  } catch {
    return undefined;
  }
}

export async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), digest, { signal });
  return digest.digest('hex');
}
