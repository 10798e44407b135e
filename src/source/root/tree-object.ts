// Owns the shape of what jsroot makes of a tree, and the check that it has it: a damaged file can make anything.
import { ColweaveError } from '../../core/errors.ts';
import type { BasketData } from './layout.ts';

export interface TreeObject {
  readonly fEntries: unknown;
  readonly fBranches: ArrayObject<BranchObject>;
}

interface ArrayObject<T> {
  readonly arr: readonly T[];
}

/** Numbers are checked where they are used. */
export interface BranchObject {
  readonly _typename: string;
  readonly fName: string;
  readonly fTitle: string;
  /** Of TBranchElement: the class whose member this is, which member, and how it is streamed. */
  readonly fClassName?: string;
  readonly fClassVersion?: unknown;
  readonly fCheckSum?: unknown;
  readonly fID?: unknown;
  readonly fType?: unknown;
  readonly fStreamerType?: unknown;
  readonly fFileName: string;
  readonly fEntries: unknown;
  readonly fWriteBasket: unknown;
  readonly fCompress?: unknown;
  readonly fTotBytes: unknown;
  readonly fBranches: ArrayObject<BranchObject>;
  readonly fLeaves: ArrayObject<LeafObject>;
  readonly fBaskets: ArrayObject<BasketObject | null>;
  readonly fBasketBytes: ArrayLike<unknown> | null;
  readonly fBasketEntry: ArrayLike<unknown> | null;
  readonly fBasketSeek: ArrayLike<unknown> | null;
}

export interface LeafObject {
  readonly _typename: string;
  readonly fName: string;
  readonly fTitle: string;
  readonly fLen: unknown;
  /** Of TLeafElement: the type code of its values. */
  readonly fType?: unknown;
  readonly fIsUnsigned: unknown;
  readonly fLeafCount: LeafObject | null;
}

/** A basket inside the tree; `data` is absent when it holds nothing. */
export interface BasketObject {
  rows: number;
  data?: BasketData;
}

/** Errors: source/damaged. */
export function checkTree(tree: object): TreeObject {
  const members = tree as Members;
  for (const branch of objectsOf(members, 'fBranches')) checkBranch(branch, 0);
  return tree as TreeObject;
}

/** Branches inside branches: deeper than any class is split. */
const DEPTH_MAX = 64;

type Members = Readonly<Record<string, unknown>>;

function checkBranch(branch: Members, depth: number): void {
  if (depth > DEPTH_MAX) throw damaged('branches hold each other without end');
  for (const name of ['_typename', 'fName', 'fTitle', 'fFileName']) checkText(branch, name);
  for (const name of ['fBasketBytes', 'fBasketEntry', 'fBasketSeek']) {
    const array = branch[name];
    const indexable = Array.isArray(array) || (ArrayBuffer.isView(array) && 'length' in array);
    if (!indexable && !isEmpty(array)) throw damaged(`a branch has no ${name}`);
  }
  for (const inner of objectsOf(branch, 'fBranches')) checkBranch(inner, depth + 1);
  if (branch.fClassName !== undefined) checkText(branch, 'fClassName');
  for (const basket of arrayOf(branch, 'fBaskets')) {
    if (basket !== null && typeof (basket as BasketObject | undefined)?.rows !== 'number') throw damaged('no basket');
  }
  for (const leaf of objectsOf(branch, 'fLeaves')) {
    for (const name of ['_typename', 'fName', 'fTitle']) checkText(leaf, name);
  }
}

/** jsroot leaves arrays of no length as an empty object or null. */
function isEmpty(array: unknown): boolean {
  return array === null || array === undefined || (typeof array === 'object' && Object.keys(array).length === 0);
}

function checkText(members: Members, name: string): void {
  if (typeof members[name] !== 'string') throw damaged(`a branch or leaf has no ${name}`);
}

function arrayOf(members: Members, name: string): readonly unknown[] {
  const array = (members[name] as { readonly arr?: unknown } | null | undefined)?.arr;
  if (!Array.isArray(array)) throw damaged(`a tree or branch has no ${name}`);
  return array;
}

function objectsOf(members: Members, name: string): readonly Members[] {
  return arrayOf(members, name).map((item) => {
    if (typeof item !== 'object' || item === null) throw damaged(`something in ${name} is no object`);
    return item as Members;
  });
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `the description of the tree is damaged: ${what}`);
}
