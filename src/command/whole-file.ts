// Owns small text files beside outputs: written whole under another name, then renamed, so that nobody reads half of one.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { outputError } from '../sink/part-file.ts';

/** Errors: output/not-writable, output/disk-full. */
export function writeWhole(path: string, text: string): void {
  const part = join(dirname(path), `.${basename(path)}.${process.pid}-text.part`);
  try {
    writeFileSync(part, text, { flush: true });
    renameSync(part, path);
  } catch (cause) {
    rmSync(part, { force: true });
    throw outputError(path, cause);
  }
}

/** A file that says this already is left alone, with its time. */
export function writeIfOther(path: string, text: string): void {
  if (readIfThere(path) !== text) writeWhole(path, text);
}

export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
