// Owns what the columns of branches are called: as uproot finds them.
import type { BranchObject } from './tree-object.ts';

/**
 * The name of every branch of a tree. A branch below another has its own name where that says where it is (`Jets.pt`
 * below `Jets.` or `Jets`), else the path to it (`hit/x`). Dimensions (`q[3]`) are no part of it: the type says them.
 */
export function columnNames(branches: readonly BranchObject[]): Map<BranchObject, string> {
  const names = new Map<BranchObject, string>();
  const visit = (branch: BranchObject, top: string, path: string): void => {
    const own = bare(branch);
    const name = below(own, top) ? own : `${path}/${own}`;
    names.set(branch, name);
    for (const inner of branch.fBranches.arr) visit(inner, top, name);
  };
  for (const branch of branches) {
    names.set(branch, bare(branch));
    for (const inner of branch.fBranches.arr) visit(inner, bare(branch), bare(branch));
  }
  return names;
}

const bare = ({ fName }: BranchObject): string => fName.replace(/(\[[^\]]*\])+$/, '');

function below(name: string, top: string): boolean {
  return name === top || name.startsWith(top.endsWith('.') ? top : `${top}.`);
}
