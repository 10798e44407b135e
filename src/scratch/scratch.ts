// Owns scratch: one file without a name that all threads append to and read from; it goes with the process.
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ColweaveError } from '../core/errors.ts';

/** Plain data: a descriptor is good in every thread of the process. */
export interface Scratch {
  readonly descriptor: number;
  readonly folder: string;
  /** One number in shared memory: the end of what was handed out. */
  readonly end: BigInt64Array;
}

/** Where batch systems and people want temporary files: the HTCondor slot's folder, $TMPDIR, else the system's. */
export function scratchFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env._CONDOR_SCRATCH_DIR ?? env.TMPDIR ?? tmpdir();
}

/** The file loses its name at once: nothing is left of it, however the process ends. Errors: memory/not-enough. */
export function openScratch(folder: string): Scratch {
  const path = join(folder, `.colweave-${process.pid}-${Date.now().toString(36)}`);
  try {
    const descriptor = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return { descriptor, folder, end: new BigInt64Array(new SharedArrayBuffer(8)) };
  } catch (cause) {
    throw new ColweaveError('memory/not-enough', 'no scratch file can be made', { where: [folder], cause });
  }
}

/** Appends bytes and gives their offset. Errors: memory/not-enough where the disk is full. */
export function appendScratch(scratch: Scratch, bytes: Uint8Array): number {
  const offset = reserveScratch(scratch, bytes.length);
  writeScratch(scratch, offset, bytes);
  return offset;
}

/** The offset of so many bytes that nothing else is put into. */
export function reserveScratch({ end }: Scratch, bytes: number): number {
  return Number(Atomics.add(end, 0, BigInt(bytes)));
}

/** Puts bytes at a place that was reserved. Errors: memory/not-enough where the disk is full. */
export function writeScratch({ descriptor, folder }: Scratch, offset: number, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at, offset + at);
  } catch (cause) {
    throw new ColweaveError('memory/not-enough', `scratch cannot be written: ${(cause as Error).message}`, {
      where: [folder],
      cause,
    });
  }
}

/** Fills `bytes` with what was put at `offset`. */
export function readScratch({ descriptor, folder }: Scratch, offset: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const read = readSync(descriptor, bytes, at, bytes.length - at, offset + at);
    if (read === 0)
      throw new ColweaveError('memory/not-enough', 'scratch ends before its data do', { where: [folder] });
    at += read;
  }
}

export function scratchBytes({ end }: Scratch): number {
  return Number(Atomics.load(end, 0));
}

export function closeScratch({ descriptor }: Scratch): void {
  closeSync(descriptor);
}
