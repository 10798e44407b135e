// Owns the names of fetched files: those of the source files, with as much of the folders in front as tells them apart.
import type { Input } from '../source/inputs.ts';

const ENDING = /\.(root|parquet|arrows?|feather)$/i;

/** One a file, in order, all different. */
export function outputNames(inputs: readonly Input[], format: string): readonly string[] {
  const parts = inputs.map(({ uri, tree }) => {
    const path = uri.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '').replace(/[?#].*$/, '');
    const steps = path.split('/').filter((step) => step !== '' && step !== '.' && step !== '..');
    const name = (steps.pop() ?? 'data').replace(ENDING, '');
    return { steps, name: name === '' ? 'data' : name, tree };
  });
  const depth = Array.from(parts, () => 0);
  const nameAt = (i: number) => {
    const { steps, name } = parts[i]!;
    return [...steps.slice(Math.max(0, steps.length - depth[i]!)), name].map(safe).join('__');
  };
  // deeper, all of those that are alike, until they are not or there are no more folders
  for (;;) {
    const alike = [...Map.groupBy(parts.keys(), nameAt).values()].filter((group) => group.length > 1).flat();
    const longer = alike.filter((i) => depth[i]! < parts[i]!.steps.length);
    if (longer.length === 0) break;
    for (const i of longer) depth[i]!++;
  }
  const taken = new Set<string>();
  return parts.map(({ tree }, i) => {
    const stem = nameAt(i);
    let name = `${stem}.${format}`;
    if (taken.has(name) && tree !== undefined) name = `${stem}.${safe(tree)}.${format}`;
    for (let n = 2; taken.has(name); n++) name = `${stem}_${n}.${format}`;
    taken.add(name);
    return name;
  });
}

/** A name that any shell and file system takes. */
function safe(step: string): string {
  return step.replace(/^[._]+(?=.)/, '').replace(/[^\w.+=-]/g, '_');
}
