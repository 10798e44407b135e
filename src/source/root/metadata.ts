// Owns the step from jsroot's branches and leaves to our schema and layout: what can be read, and why the rest cannot.
import type { Dtype } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import { type ColumnType, type Field, flat, list, type Schema, utf8 } from '../../core/schema.ts';
import type { UnreadableColumn } from '../types.ts';
import { addBaskets, type Basket, rawBytes, tableOf } from './branch-baskets.ts';
import { columnNames } from './branch-names.ts';
import type { BasketData, BranchLayout, RootLayout } from './layout.ts';
import { compileElement } from './object/branches.ts';
import type { Classes } from './object/classes.ts';
import { basicDtype, type Compiled, Undecodable } from './object/compile.ts';
import { compileLeaves } from './object/leaves.ts';
import { slotType } from './object/wire.ts';
import type { BranchObject, LeafObject, TreeObject } from './tree-object.ts';
import { Unreadable } from './unreadable.ts';

/** Offsets and row numbers are signed 32-bit, and -1 means absent. */
const ROWS_MAX = 2 ** 31 - 2;

export interface TreeDescription {
  readonly rows: number;
  readonly schema: Schema;
  readonly layout: Pick<RootLayout, 'branches' | 'baskets' | 'embedded'>;
  readonly unreadable: readonly UnreadableColumn[];
  readonly redundant: readonly string[];
}

const LEAVES: Readonly<Record<string, { readonly signed: Dtype; readonly unsigned: Dtype }>> = {
  TLeafO: { signed: 'bool', unsigned: 'bool' },
  TLeafB: { signed: 'i8', unsigned: 'u8' },
  TLeafS: { signed: 'i16', unsigned: 'u16' },
  TLeafI: { signed: 'i32', unsigned: 'u32' },
  TLeafL: { signed: 'i64', unsigned: 'u64' },
  TLeafG: { signed: 'i64', unsigned: 'u64' },
  TLeafF: { signed: 'f32', unsigned: 'f32' },
  TLeafD: { signed: 'f64', unsigned: 'f64' },
};

/** Collects while branches are gone through. */
interface Collected {
  readonly baskets: Basket[];
  readonly embedded: BasketData[];
}

interface ReadBranch {
  readonly branch: BranchObject;
  readonly layout: BranchLayout;
  readonly type: ColumnType;
  /** What counts its items where the layout need not know. */
  readonly counter?: string;
  /** Counts the items of split objects: no column of its own. */
  readonly hidden?: true;
}

/** `classes` are those that the file describes. Errors: source/damaged, source/too-many-rows. */
export function describeTree(tree: TreeObject, classes: Classes, fileBytes: number): TreeDescription {
  const rows = Number(tree.fEntries);
  if (!Number.isSafeInteger(rows) || rows < 0) throw damaged(`the tree says that it has ${tree.fEntries} entries`);
  if (rows > ROWS_MAX) throw new ColweaveError('source/too-many-rows', `the tree has ${rows} entries`);
  const branches = tree.fBranches.arr;

  const names = columnNames(branches);
  const leafOwner = new Map<LeafObject, string>();
  for (const [branch, name] of names) for (const leaf of branch.fLeaves.arr) leafOwner.set(leaf, name);
  const collected: Collected = { baskets: [], embedded: [] };
  const context: TreeContext = { rows, fileBytes, names, leafOwner, classes, collected };
  const readable = new Map<string, ReadBranch>();
  const unreadable: UnreadableColumn[] = [];
  for (const branch of branches) visit(branch, context, readable, unreadable);
  dropWithoutCounter(readable, unreadable);
  checkRows(branches, readable, rows);
  const redundant = redundantCounters(branches, leafOwner).filter((name) => readable.has(name));
  const hidden = new Set(redundant);
  for (const [name, entry] of readable) if (entry.hidden) hidden.add(name);
  const fields = [...readable.values()]
    .filter(({ layout }) => !hidden.has(layout.name))
    .map((entry) => fieldOf(entry, hidden));
  return {
    rows,
    schema: { fields },
    layout: {
      branches: [...readable.values()].map(({ layout }) => layout),
      baskets: tableOf(collected.baskets),
      embedded: collected.embedded,
    },
    unreadable,
    redundant,
  };
}

interface TreeContext {
  readonly rows: number;
  readonly fileBytes: number;
  readonly names: ReadonlyMap<BranchObject, string>;
  readonly leafOwner: ReadonlyMap<LeafObject, string>;
  readonly classes: Classes;
  readonly collected: Collected;
}

/** A branch and those below it. */
function visit(
  branch: BranchObject,
  context: TreeContext,
  readable: Map<string, ReadBranch>,
  unreadable: UnreadableColumn[],
): void {
  const name = context.names.get(branch)!;
  try {
    const found = describeBranch(branch, name, context, unreadable);
    const twice = found.find(({ layout }) => readable.has(layout.name));
    if (twice) throw new Unreadable(typeOf(branch), 'an earlier branch has the same name');
    for (const entry of found) readable.set(entry.layout.name, entry);
  } catch (problem) {
    if (!(problem instanceof Unreadable)) throw problem;
    unreadable.push({ name, type: problem.type, reason: problem.reason });
    if (problem.withInner) return;
  }
  for (const inner of branch.fBranches.arr) visit(inner, context, readable, unreadable);
}

/** TBranchElement::fType of split containers, whose own baskets hold the counts. */
const SPLIT_LISTS = [3, 4];

/** The columns of a branch itself; none of one that only holds others together. */
function describeBranch(
  branch: BranchObject,
  name: string,
  context: TreeContext,
  unreadable: UnreadableColumn[],
): ReadBranch[] {
  const type = typeOf(branch);
  const split = SPLIT_LISTS.includes(Number(branch.fType ?? 0));
  if (branch.fClassName?.startsWith('edm::Wrapper<')) {
    throw new Unreadable(type, 'payload of an EDM file: only its event keys are read', { withInner: true });
  }
  if (branch._typename !== 'TBranch' && branch._typename !== 'TBranchElement') {
    throw new Unreadable(type, `it is a ${branch._typename}`);
  }
  if (branch.fBranches.arr.length > 0 && !split) return [];
  const leaves = branch.fLeaves.arr;
  if (leaves.length === 0) throw new Unreadable(type, 'it has no leaf');
  if (branch.fFileName) throw new Unreadable(type, 'its data are in another file');
  const entries = Number(branch.fEntries);
  if (entries !== context.rows) throw new Unreadable(type, `it has ${entries} of the tree's ${context.rows} entries`);
  if (split) return [plainColumn(branch, name, 'i32', context)].map((entry) => ({ ...entry, hidden: true }));
  const leaf = leaves[0]!;
  if (leaves.length === 1 && leaf._typename === 'TLeafC') {
    if (leaf.fLeafCount) throw new Unreadable(type, 'lists of strings of this kind cannot be decoded');
    return [plainColumn(branch, name, 'string', context)];
  }
  const dtype = dtypeOf(leaf);
  if (leaves.length === 1 && dtype !== undefined) return [plainColumn(branch, name, dtype, context)];
  return objectColumns(branch, name, context, unreadable);
}

/** The dtype of a leaf of plain numbers. */
function dtypeOf(leaf: LeafObject): Dtype | undefined {
  if (leaf._typename === 'TLeafElement') return basicDtype(Number(leaf.fType));
  return LEAVES[leaf._typename]?.[leaf.fIsUnsigned ? 'unsigned' : 'signed'];
}

/** Numbers, counted or not, or strings: values that stand one after the other. */
function plainColumn(branch: BranchObject, name: string, of: Dtype | 'string', context: TreeContext): ReadBranch {
  const type = typeOf(branch);
  const leaf = branch.fLeaves.arr[0]!;
  const { baskets } = context.collected;
  const counter = leaf.fLeafCount ? context.leafOwner.get(leaf.fLeafCount) : undefined;
  if (leaf.fLeafCount && counter === undefined) throw new Unreadable(type, 'its counter is not in the tree');
  const dims = of === 'string' ? [] : dimensions(leaf, type);
  const basketStart = baskets.length;
  addBaskets(branch, type, context);
  const layout: BranchLayout = {
    name,
    kind: of === 'string' ? 'string' : 'number',
    dtype: of === 'string' ? 'u8' : of,
    dims,
    ...(counter === undefined ? {} : { counter }),
    basketStart,
    basketEnd: baskets.length,
    compression: compressionOf(branch),
    rawBytes: rawBytes(branch),
  };
  return { branch, layout, type: of === 'string' ? utf8 : columnType(layout) };
}

/** Everything else: entries that a wire describes, in one column or several. */
function objectColumns(
  branch: BranchObject,
  name: string,
  context: TreeContext,
  unreadable: UnreadableColumn[],
): ReadBranch[] {
  const type = typeOf(branch);
  const { layout: object, leaves, partial } = compiled(branch, name, context);
  const { baskets } = context.collected;
  const basketStart = baskets.length;
  addBaskets(branch, type, context);
  for (const path of partial) unreadable.push({ name: path, type, reason: 'not every version of its class has it' });
  const share = Math.ceil(rawBytes(branch) / leaves.size);
  const count = branch.fLeaves.arr[0]!.fLeafCount;
  const counter = count ? context.leafOwner.get(count) : undefined;
  return [...leaves].map(([path, slot]) => {
    const columnType = slotType(object.slots, slot);
    const layout: BranchLayout = {
      name: path,
      kind: 'object',
      object: { layout: object, slot },
      dtype: object.slots[slot]!.kind === 'number' ? (object.slots[slot] as { readonly dtype: Dtype }).dtype : 'u8',
      dims: [],
      basketStart,
      basketEnd: baskets.length,
      compression: compressionOf(branch),
      rawBytes: share,
    };
    const plain = branch._typename === 'TBranch' && counter !== undefined;
    return { branch, layout, type: columnType, ...(plain ? { counter } : {}) };
  });
}

function compiled(branch: BranchObject, name: string, context: TreeContext): Compiled {
  const type = typeOf(branch);
  try {
    if (branch._typename === 'TBranchElement') return compileElement(branch, name, context.classes);
    return compileLeaves(name, branch.fLeaves.arr, dtypeOf, (leaf) => dimensions(leaf, type));
  } catch (problem) {
    if (!(problem instanceof Undecodable)) throw problem;
    throw new Unreadable(type, problem.reason);
  }
}

function compressionOf({ fCompress }: BranchObject): number {
  const setting = Number(fCompress ?? -1);
  return Number.isSafeInteger(setting) ? setting : -1;
}

function columnType(layout: BranchLayout): ColumnType {
  const item = layout.dims.reduceRight<ColumnType>((inner, size) => list(inner, size), flat(layout.dtype));
  return layout.counter === undefined ? item : list(item);
}

/** `x[n][3][2]` counted by n: [3, 2]. The leaf's length is their product; where the title says otherwise, it counts. */
function dimensions(leaf: LeafObject, type: string): number[] {
  const length = Number(leaf.fLen);
  if (!Number.isSafeInteger(length) || length < 1) throw new Unreadable(type, `its leaf has the length ${leaf.fLen}`);
  const named = [...leaf.fTitle.matchAll(/\[(\d+)\]/g)].map((match) => Number(match[1]));
  const product = named.reduce((value, size) => value * size, 1);
  if (product === length) return named;
  return length === 1 ? [] : [length];
}

function dropWithoutCounter(readable: Map<string, ReadBranch>, unreadable: UnreadableColumn[]): void {
  for (const [name, { branch, layout }] of readable) {
    if (layout.counter === undefined) continue;
    const counter = readable.get(layout.counter)?.layout;
    const usable = counter?.kind === 'number' && counter.counter === undefined && counter.dims.length === 0;
    if (usable && !['f32', 'f64', 'bool'].includes(counter.dtype)) continue;
    readable.delete(name);
    unreadable.push({ name, type: typeOf(branch), reason: `its counter "${layout.counter}" cannot be read` });
  }
}

/** One branch with other entries than the tree is left out; when all are so, it is the tree that is wrong. */
function checkRows(branches: readonly BranchObject[], readable: ReadonlyMap<string, unknown>, rows: number): void {
  if (readable.size > 0 || branches.length === 0) return;
  const counts = new Set(branches.map((branch) => Number(branch.fEntries)));
  if (!counts.has(rows)) throw damaged(`the tree says ${rows} entries, its branches ${[...counts].join(', ')}`);
}

/**
 * uproot writes a counter a branch: `nJet_pt`, counting only `Jet_pt`. It says nothing that the list does not. Without
 * an underscore it counts a collection of one list (`nLHEPdfWeight`), as CMS writes it and readers want it.
 */
function redundantCounters(branches: readonly BranchObject[], leafOwner: ReadonlyMap<LeafObject, string>): string[] {
  const counted = new Map<string, string[]>();
  for (const branch of branches) {
    for (const leaf of branch.fLeaves.arr) {
      const counter = leaf.fLeafCount ? leafOwner.get(leaf.fLeafCount) : undefined;
      if (counter !== undefined) counted.set(counter, [...(counted.get(counter) ?? []), branch.fName]);
    }
  }
  return [...counted]
    .filter(([name, users]) => users.length === 1 && name === `n${users[0]}` && name.includes('_'))
    .map(([name]) => name);
}

function fieldOf({ branch, layout, type, counter: known }: ReadBranch, hidden: ReadonlySet<string>): Field {
  const doc = documentation(branch);
  const named = layout.counter ?? known;
  const counter = named !== undefined && !hidden.has(named) ? named : undefined;
  return {
    name: layout.name,
    type,
    nullable: false,
    ...(doc === undefined ? {} : { doc }),
    ...(counter === undefined ? {} : { counter }),
  };
}

/** The branch title, unless it is the leaf list that ROOT puts there (`Jet_pt[nJet]/F`, `a/I:b/F`); objects have none. */
function documentation(branch: BranchObject): string | undefined {
  const title = branch.fTitle.trim();
  if (title === '' || branch._typename !== 'TBranch' || branch.fLeaves.arr.length > 1) return undefined;
  const { fName: name } = branch;
  const leaf = branch.fLeaves.arr[0]?.fName ?? name;
  for (const start of [name, leaf]) {
    if (title.startsWith(start) && /^(\[[^\]]*\])*(\/[A-Za-z](\[[^\]]*\])?)?$/.test(title.slice(start.length)))
      return undefined;
  }
  return branch.fTitle;
}

/** How the file itself would name the type. */
function typeOf(branch: BranchObject): string {
  if (branch.fClassName) return branch.fClassName;
  const leaves = branch.fLeaves.arr;
  if (leaves.length > 1) return leaves.map((leaf) => leaf.fTitle).join(':');
  const leaf = leaves[0];
  return leaf ? `${leaf._typename.replace(/^TLeaf/, 'leaf ')} ${leaf.fTitle}` : branch._typename;
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', what);
}
