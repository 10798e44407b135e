// Owns whether a directory that join wrote is whole: its summary names every file, with rows and key seal.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, finding, named } from './findings.ts';

/** Written last by join: a directory without it is not complete. */
export const SUMMARY_FILE = '_receipt.json';
const DATA_FILE = /\.parquet$/;

interface Part {
  readonly name: string;
  readonly rows: number;
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
  return findings;
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
