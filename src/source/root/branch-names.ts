// Owns what the columns of branches are called: as uproot finds them.
import type { BranchObject } from './tree-object.ts';

/**
 * The name of every branch of a tree. A branch below another has its own name where that says where it is (`Jets.pt`
 * below `Jets.` or `Jets`), else the path to it (`hit/x`). Dimensions (`q[3]`) are no part of it: the type says them.
 */
export function columnNames(branches: readonly BranchObject[]): Map<BranchObject, string> {
  const names = new Map<BranchObject, string>();
  const visit = (branch: BranchObject, parent: BranchObject | undefined): void => {
    const own = branch.fName.replace(/(\[[^\]]*\])+$/, '');
    const placed = parent === undefined || below(own, parent.fName);
    names.set(branch, placed ? own : `${names.get(parent)!}/${own}`);
    for (const inner of branch.fBranches.arr) visit(inner, branch);
  };
  for (const branch of branches) visit(branch, undefined);
  return names;
}

function below(name: string, parent: string): boolean {
  return name === parent || name.startsWith(parent.endsWith('.') ? parent : `${parent}.`);
}
