// Owns the names of part files and spools, and removing those that a killed process left: a name tells which process of which machine.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

let serial = 0;

/** A hidden name beside the target that no other process and no other call has. */
export function newPartPath(target: string): string {
  return join(dirname(target), `.${basename(target)}.${process.pid}-${machineMark() ?? 'x'}-${serial++}.part`);
}

const SPOOL = '.colweave-output.';

/** A folder in scratch for an output on its way to a server; what killed processes left of theirs goes. Errors: the system's. */
export function makeSpool(parent: string): string {
  removeStale(parent, SPOOL, '');
  return mkdtempSync(join(parent, `${SPOOL}${process.pid}-${machineMark() ?? 'x'}-`));
}

let mark: string | undefined;

/**
 * Where a process id means the same process: this start of this machine, this space of process ids (containers have their
 * own). Undefined where the system does not tell: there nothing is removed.
 */
function machineMark(): string | undefined {
  if (mark !== undefined) return mark;
  try {
    const start = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1');
    const space = readlinkSync('/proc/self/ns/pid');
    mark = createHash('sha256').update(`${start}${space}`).digest('hex').slice(0, 16);
  } catch {
    return undefined;
  }
  return mark;
}

/** Of this target, by processes that are surely gone; a process that was killed cannot do it itself. */
export function removeStaleParts(target: string): void {
  removeStale(dirname(target), `.${basename(target)}.`, '.part');
}

function removeStale(folder: string, start: string, end: string): void {
  const own = machineMark();
  if (own === undefined) return;
  for (const name of namesIn(folder)) {
    if (!name.startsWith(start) || !name.endsWith(end)) continue;
    const [, pid, where] = /^(\d+)-([0-9a-f]+)-\w+$/.exec(name.slice(start.length, name.length - end.length)) ?? [];
    if (where !== own || !isGone(Number(pid))) continue;
    try {
      rmSync(join(folder, name), { recursive: true, force: true });
    } catch {
      // what cannot be removed, such as another user's, stays
    }
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
