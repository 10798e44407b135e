// Owns the names of part files, and removing those that a killed process left: its name tells which process of which machine.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

let serial = 0;

/** A hidden name beside the target that no other process and no other call has. */
export function newPartPath(target: string): string {
  return join(dirname(target), `.${basename(target)}.${process.pid}-${machineMark() ?? 'x'}-${serial++}.part`);
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
  const own = machineMark();
  if (own === undefined) return;
  const [folder, start, end] = [dirname(target), `.${basename(target)}.`, '.part'];
  try {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith(start) || !name.endsWith(end)) continue;
      const [, pid, where] = /^(\d+)-([0-9a-f]+)-\d+$/.exec(name.slice(start.length, -end.length)) ?? [];
      if (where === own && isGone(Number(pid))) rmSync(join(folder, name), { force: true });
    }
  } catch {
    // what cannot be listed or removed stays
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
