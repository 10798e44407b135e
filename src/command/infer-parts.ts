// Owns what a run leaves behind for another one to go on from: the scores of each finished row group, whole or not there.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';
import type { KeyTable } from '../core/key-spec.ts';
import { planPacking, unpackColumns } from '../core/pack.ts';
import { canonicalJson } from '../core/receipt.ts';
import { sealHex, sealTable } from '../core/seal.ts';
import type { EventGroup } from '../infer/batch-plan.ts';
import type { Scores } from '../infer/run.ts';
import { outputError } from '../sink/part-file.ts';
import { readIfThere, writeWhole } from './whole-file.ts';

const MANIFEST = 'manifest.json';
const FORMAT = 'infer-parts/1';
const SHA256_BYTES = 32;

/** What parts are of: any difference, and they are not ours. */
export interface PartsOf {
  readonly tool: string;
  readonly inputs: string;
  readonly options: string;
  readonly model: string;
  readonly version: string;
  readonly configHash: string | null;
  readonly groupRows: number;
}

export interface PartStore {
  /** The scores of a group that is there, is whole, and is of these events. */
  load(group: EventGroup, keys: KeyTable): Scores | undefined;
  save(group: EventGroup, keys: KeyTable, scores: Scores): void;
  /** After the output is published. */
  remove(): void;
}

export const partsFolder = (output: string): string => `${output}.parts`;

/** Begins a folder of parts, or goes on with one. Errors: infer/other-parts, output/not-writable, output/disk-full. */
export function openParts(output: string, of: PartsOf): PartStore {
  const folder = partsFolder(output);
  const manifest = join(folder, MANIFEST);
  const text = `${canonicalJson({ format: FORMAT, ...of })}\n`;
  const found = readIfThere(manifest);
  if (found !== undefined && found !== text) throw otherParts(folder, found, of);
  if (found === undefined) begin(folder, manifest, text);
  return {
    load: (group, keys) => load(join(folder, nameOf(group)), keys),
    save: (group, keys, scores) => save(join(folder, nameOf(group)), keys, scores),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const nameOf = ({ start, end }: EventGroup): string => `${start}-${end}.scores`;

/** A folder without a manifest holds nothing that can be trusted. */
function begin(folder: string, manifest: string, text: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) if (name.endsWith('.scores')) rmSync(join(folder, name));
  } catch (cause) {
    throw outputError(folder, cause);
  }
  writeWhole(manifest, text);
}

function otherParts(folder: string, found: string, of: PartsOf): ColweaveError {
  let before: Partial<PartsOf> = {};
  try {
    before = JSON.parse(found) as Partial<PartsOf>;
  } catch {
    // not ours at all: then everything differs
  }
  const names = (Object.keys(of) as (keyof PartsOf)[]).filter((name) => before[name] !== of[name]);
  return new ColweaveError('infer/other-parts', `the finished parts are of other ${names.join(', ')}`, {
    where: [folder],
    details: names
      .filter((name) => name === 'model' || name === 'version' || name === 'configHash' || name === 'tool')
      .map((name) => `${name}: ${String(before[name] ?? 'none')} there, ${String(of[name] ?? 'none')} now`),
    hint: `remove ${folder} to begin again`,
  });
}

interface PartHeader {
  readonly keySeal: string;
  readonly rows: number;
  readonly requests: number;
  readonly nonFinite: readonly number[];
}

const sealOf = (keys: KeyTable): string => sealHex(sealTable(keys));

/** sha256 of the rest, header length, header, packed columns at a multiple of 8. */
function save(path: string, keys: KeyTable, { columns, rows, requests, nonFinite }: Scores): void {
  const header: PartHeader = { keySeal: sealOf(keys), rows, requests, nonFinite };
  const text = Buffer.from(JSON.stringify(header).padEnd(8));
  const packing = planPacking(keys.rows, columns);
  const start = align(SHA256_BYTES + 8 + text.length);
  const bytes = Buffer.alloc(start + packing.bytes);
  bytes.writeUInt32LE(text.length, SHA256_BYTES);
  text.copy(bytes, SHA256_BYTES + 8);
  packing.writeTo(bytes.subarray(start));
  createHash('sha256').update(bytes.subarray(SHA256_BYTES)).digest().copy(bytes);
  const part = `${path}.${process.pid}.part`;
  try {
    const file = openSync(part, 'w');
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
  } catch (cause) {
    rmSync(part, { force: true });
    throw outputError(path, cause);
  }
}

const align = (bytes: number) => (bytes + 7) & ~7;

/** A part that is torn, or of other events, is made again. */
function load(path: string, keys: KeyTable): Scores | undefined {
  if (!existsSync(path)) return undefined;
  const file = readFileSync(path);
  if (file.length < SHA256_BYTES + 8) return undefined;
  const sha256 = createHash('sha256').update(file.subarray(SHA256_BYTES)).digest();
  if (!sha256.equals(file.subarray(0, SHA256_BYTES))) return undefined;
  const length = file.readUInt32LE(SHA256_BYTES);
  const header = JSON.parse(file.toString('utf8', SHA256_BYTES + 8, SHA256_BYTES + 8 + length)) as PartHeader;
  if (header.keySeal !== sealOf(keys)) return undefined;
  const body = new Uint8Array(file.subarray(align(SHA256_BYTES + 8 + length)));
  return { columns: unpackColumns(body), nonFinite: header.nonFinite, rows: header.rows, requests: header.requests };
}
