// Owns whether a directory that join wrote is whole: its summary names every file, with rows and key seal.
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { TAIL_BYTES } from '../source/parquet/footer.ts';
import { type Finding, finding, named } from './findings.ts';

/** Written last by join: a directory without it is not complete. */
export const SUMMARY_FILE = '_receipt.json';
const DATA_FILE = /\.parquet$/;

interface Part {
  readonly name: string;
  readonly rows: number;
  /** Of the footer, as for any Parquet file; sums of older versions lack it. */
  readonly identity?: { readonly size: number; readonly id: string };
}

/** What the directory lacks or has too much; the files themselves are checked one by one. */
export function checkDirectory(folder: string): readonly Finding[] {
  const parts = readSummary(join(folder, SUMMARY_FILE));
  if (parts === undefined) return [finding('verify/receipt-edited', `${SUMMARY_FILE} is not as colweave wrote it`)];
  const there = readdirSync(folder).filter((name) => DATA_FILE.test(name));
  const lost = parts.filter(({ name }) => !there.includes(name));
  const extra = there.filter((name) => !parts.some((part) => part.name === name));
  const findings: Finding[] = [];
  if (lost.length > 0) {
    const count = lost.reduce((sum, { rows }) => sum + rows, 0);
    findings.push(
      finding('verify/rows-lost', `files of the join are gone: ${named(lost.map(({ name }) => name))}`, { count }),
    );
  }
  if (extra.length > 0) {
    findings.push(
      finding('verify/rows-foreign', `files that the join did not write: ${named(extra)}`, { count: extra.length }),
    );
  }
  return [...findings, ...exchanged(folder, parts, there)];
}

/** A file of the directory under the name of another: each is whole by itself, its events count twice or the others are gone. */
function exchanged(folder: string, parts: readonly Part[], there: readonly string[]): Finding[] {
  const byId = new Map(
    parts.flatMap((part) => (part.identity === undefined ? [] : [[part.identity.id, part] as const])),
  );
  const findings: Finding[] = [];
  for (const part of parts) {
    if (part.identity === undefined || !there.includes(part.name)) continue;
    const id = footerId(join(folder, part.name));
    const other = id === undefined || id === part.identity.id ? undefined : byId.get(id);
    if (other === undefined || other.name === part.name) continue;
    const text = `${part.name} is not the file that was written under this name: it is ${other.name}`;
    findings.push(finding('verify/rows-doubled', text, { count: other.rows }));
  }
  return findings;
}

/** undefined: no Parquet file; that is for whoever reads it to say. */
function footerId(path: string): string | undefined {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const tail = Buffer.alloc(TAIL_BYTES);
    readSync(descriptor, tail, 0, TAIL_BYTES, Math.max(0, size - TAIL_BYTES));
    const length = tail.readUInt32LE(0);
    if (length > size - TAIL_BYTES) return undefined;
    const footer = Buffer.alloc(length);
    readSync(descriptor, footer, 0, length, size - TAIL_BYTES - length);
    return createHash('sha256').update(footer).digest('hex');
  } finally {
    closeSync(descriptor);
  }
}

export function hasSummary(folder: string): boolean {
  return existsSync(join(folder, SUMMARY_FILE));
}

function readSummary(path: string): readonly Part[] | undefined {
  try {
    const { files, rows } = JSON.parse(readFileSync(path, 'utf8')) as { files: Part[]; rows: number };
    const sum = files.reduce((total, part) => total + part.rows, 0);
    return sum === rows && files.every(({ name }) => typeof name === 'string') ? files : undefined;
  } catch {
    return undefined;
  }
}
