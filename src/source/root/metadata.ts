// Owns the step from jsroot's branches and leaves to our schema and layout: what can be read, and why the rest cannot.
import type { Dtype } from '../../core/dtype.ts';
import { ColweaveError } from '../../core/errors.ts';
import { type ColumnType, type Field, flat, list, type Schema, utf8 } from '../../core/schema.ts';
import type { UnreadableColumn } from '../types.ts';
import type { BasketData, BranchLayout, RootLayout } from './layout.ts';
import type { BranchObject, LeafObject, TreeObject } from './tree-object.ts';

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

/** A branch that cannot be read; caught below and listed. */
class Unreadable {
  readonly type: string;
  readonly reason: string;
  constructor(type: string, reason: string) {
    this.type = type;
    this.reason = reason;
  }
}

interface Basket {
  readonly seek: number;
  readonly bytes: number;
  readonly rowStart: number;
  readonly rowEnd: number;
}

/** Collects while branches are gone through. */
interface Collected {
  readonly baskets: Basket[];
  readonly embedded: BasketData[];
}

interface ReadBranch {
  readonly branch: BranchObject;
  readonly layout: BranchLayout;
  readonly type: ColumnType;
}

/** Errors: source/damaged, source/too-many-rows. */
export function describeTree(tree: TreeObject, fileBytes: number): TreeDescription {
  const rows = Number(tree.fEntries);
  if (!Number.isSafeInteger(rows) || rows < 0) throw damaged(`the tree says that it has ${tree.fEntries} entries`);
  if (rows > ROWS_MAX) throw new ColweaveError('source/too-many-rows', `the tree has ${rows} entries`);
  const branches = tree.fBranches.arr;

  const leafOwner = new Map<LeafObject, BranchObject>();
  for (const branch of branches) for (const leaf of branch.fLeaves.arr) leafOwner.set(leaf, branch);
  const collected: Collected = { baskets: [], embedded: [] };
  const readable = new Map<string, ReadBranch>();
  const unreadable: UnreadableColumn[] = [];
  for (const branch of branches) {
    const name = branch.fName;
    try {
      if (readable.has(name)) throw new Unreadable(typeOf(branch), 'an earlier branch has the same name');
      readable.set(name, describeBranch(branch, { rows, fileBytes, leafOwner, collected }));
    } catch (problem) {
      if (!(problem instanceof Unreadable)) throw problem;
      unreadable.push({ name, type: problem.type, reason: problem.reason });
    }
  }
  dropWithoutCounter(readable, unreadable);
  checkRows(branches, readable, rows);
  const redundant = redundantCounters(branches, leafOwner).filter((name) => readable.has(name));
  const hidden = new Set(redundant);
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
  readonly leafOwner: ReadonlyMap<LeafObject, BranchObject>;
  readonly collected: Collected;
}

function describeBranch(branch: BranchObject, context: TreeContext): ReadBranch {
  const type = typeOf(branch);
  const leaves = branch.fLeaves.arr;
  const leaf = leaves[0];
  if (branch._typename !== 'TBranch') throw new Unreadable(type, 'it holds objects');
  if (!leaf || branch.fBranches.arr.length) throw new Unreadable(type, 'it has branches below it');
  if (leaves.length > 1) throw new Unreadable(type, 'it has several leaves in one branch');
  if (branch.fFileName) throw new Unreadable(type, 'its data are in another file');
  const entries = Number(branch.fEntries);
  if (entries !== context.rows) throw new Unreadable(type, `it has ${entries} of the tree's ${context.rows} entries`);

  const { baskets } = context.collected;
  const string = leaf._typename === 'TLeafC';
  const dtypes = LEAVES[leaf._typename];
  if (!(dtypes || string)) throw new Unreadable(type, `values of ${leaf._typename} cannot be decoded yet`);
  if (string && leaf.fLeafCount) throw new Unreadable(type, 'lists of strings cannot be decoded yet');
  const dtype = dtypes ? dtypes[leaf.fIsUnsigned ? 'unsigned' : 'signed'] : 'u8';
  const dims = string ? [] : dimensions(leaf, type);
  const counter = leaf.fLeafCount ? context.leafOwner.get(leaf.fLeafCount)?.fName : undefined;
  if (leaf.fLeafCount && counter === undefined) throw new Unreadable(type, 'its counter is not in the tree');

  const basketStart = baskets.length;
  addBaskets(branch, type, context);
  const layout: BranchLayout = {
    name: branch.fName,
    kind: string ? 'string' : 'number',
    dtype,
    dims,
    ...(counter === undefined ? {} : { counter }),
    basketStart,
    basketEnd: baskets.length,
    rawBytes: rawBytes(branch),
  };
  return { branch, layout, type: string ? utf8 : columnType(layout) };
}

/** By the tree's own account, for planning only: with keys and entry offsets; baskets inside the tree are on top. */
function rawBytes(branch: BranchObject): number {
  const total = Number(branch.fTotBytes);
  const inside = branch.fBaskets.arr.reduce((sum, basket) => sum + (basket?.data?.payload.length ?? 0), 0);
  return (Number.isFinite(total) && total > 0 ? total : 0) + inside;
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

/** Baskets in row order: on disk, or inside the tree when they were not flushed. */
function addBaskets(branch: BranchObject, type: string, context: TreeContext): void {
  const { rows, fileBytes, collected } = context;
  const written = Number(branch.fWriteBasket);
  const [seeks, sizes, entries] = [branch.fBasketSeek ?? [], branch.fBasketBytes ?? [], branch.fBasketEntry ?? []];
  const inside = branch.fBaskets.arr;
  if (!(Number.isSafeInteger(written) && written >= 0)) throw damaged(`branch "${branch.fName}" has no basket count`);
  let row = 0;
  for (let i = 0; row < rows; i++) {
    const embedded = inside[i];
    const last = i >= written;
    if (i > written) throw new Unreadable(type, `its baskets hold ${row} of ${rows} entries`);
    const rowEnd = last ? rows : Math.min(rows, Number(entries[i + 1]));
    if (Number(entries[i]) !== row || !(rowEnd >= row)) {
      throw damaged(`branch "${branch.fName}", basket ${i}: baskets do not follow each other`);
    }
    if (rowEnd === row) continue;
    if (embedded?.data && embedded.rows === rowEnd - row) {
      collected.embedded.push(embedded.data);
      collected.baskets.push({ seek: -collected.embedded.length, bytes: 0, rowStart: row, rowEnd });
    } else {
      const seek = Number(seeks[i] ?? 0);
      const bytes = Number(sizes[i] ?? 0);
      if (!(seek > 0 && bytes > 0)) throw new Unreadable(type, `its basket ${i} is not in the file`);
      if (!Number.isSafeInteger(seek)) throw damaged(`branch "${branch.fName}", basket ${i}: impossible position`);
      if (seek + bytes > fileBytes) throw cutOff(branch, { index: i, end: seek + bytes, fileBytes });
      collected.baskets.push({ seek, bytes, rowStart: row, rowEnd });
    }
    row = rowEnd;
  }
}

function cutOff(branch: BranchObject, at: { index: number; end: number; fileBytes: number }): ColweaveError {
  const what = `basket ${at.index} of "${branch.fName}" ends at byte ${at.end}, the file at ${at.fileBytes}`;
  return new ColweaveError('source/truncated', what);
}

function tableOf(baskets: readonly Basket[]): RootLayout['baskets'] {
  return {
    seek: Float64Array.from(baskets, ({ seek }) => seek),
    bytes: Int32Array.from(baskets, ({ bytes }) => bytes),
    rowStart: Int32Array.from(baskets, ({ rowStart }) => rowStart),
    rowEnd: Int32Array.from(baskets, ({ rowEnd }) => rowEnd),
  };
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
function redundantCounters(
  branches: readonly BranchObject[],
  leafOwner: ReadonlyMap<LeafObject, BranchObject>,
): string[] {
  const counted = new Map<string, string[]>();
  for (const branch of branches) {
    for (const leaf of branch.fLeaves.arr) {
      const counter = leaf.fLeafCount ? leafOwner.get(leaf.fLeafCount)?.fName : undefined;
      if (counter !== undefined) counted.set(counter, [...(counted.get(counter) ?? []), branch.fName]);
    }
  }
  return [...counted]
    .filter(([name, users]) => users.length === 1 && name === `n${users[0]}` && name.includes('_'))
    .map(([name]) => name);
}

function fieldOf({ branch, layout, type }: ReadBranch, hidden: ReadonlySet<string>): Field {
  const doc = documentation(branch);
  const counter = layout.counter !== undefined && !hidden.has(layout.counter) ? layout.counter : undefined;
  return {
    name: layout.name,
    type,
    nullable: false,
    ...(doc === undefined ? {} : { doc }),
    ...(counter === undefined ? {} : { counter }),
  };
}

/** The branch title, unless it is the leaf list that ROOT puts there (`Jet_pt[nJet]/F`). */
function documentation(branch: BranchObject): string | undefined {
  const title = branch.fTitle.trim();
  if (title === '') return undefined;
  const { fName: name } = branch;
  const leaf = branch.fLeaves.arr[0]?.fName ?? name;
  for (const start of [name, leaf]) {
    if (title.startsWith(start) && /^(\[[^\]]*\])*(\/[A-Za-z])?$/.test(title.slice(start.length))) return undefined;
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
