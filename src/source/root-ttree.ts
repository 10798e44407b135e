// Owns the format root-ttree: one TTree of a ROOT file as a source of columns.
import { openStore } from '../bytes/open.ts';
import type { ByteStore } from '../bytes/types.ts';
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import { columnFinder } from './column-finder.ts';
import { askBaskets } from './root/ahead.ts';
import {
  isDirectory,
  type RootDirectory,
  type RootKey,
  readDirectory,
  readHeader,
  readKeys,
} from './root/file-header.ts';
import { identify, openAgain, placed } from './root/identity.ts';
import { readTreeObject } from './root/jsroot.ts';
import type { BranchLayout, RootLayout } from './root/layout.ts';
import { describeTree } from './root/metadata.ts';
import { forgetKept, readRows, type TreeReader } from './root/reader.ts';
import { openRntuple, RNTUPLE_CLASSES } from './root-rntuple.ts';
import type { FileDescriptor, OpenOptions, SourceFile, SourceFormat, UnreadableColumn } from './types.ts';

const FORMAT = 'root-ttree';
const DEFAULT_TREE = 'Events';
/** Where ATLAS puts the events of an RNTuple file, beside others (DataHeader, EventTag). */
const ATLAS_RNTUPLE = 'EventData';
const TREE_CLASSES = ['TTree', 'TNtuple', 'TNtupleD', ...RNTUPLE_CLASSES];
/** Directories inside directories: deeper than anybody nests, so that a loop in a damaged file ends. */
const DIRECTORY_DEPTH_MAX = 16;

export const rootTtree: SourceFormat = {
  name: FORMAT,
  recognises: (head) => head.length >= 4 && String.fromCharCode(...head.subarray(0, 4)) === 'root',
  open,
  reopen,
};

async function open(uri: string, options: OpenOptions, signal?: AbortSignal): Promise<SourceFile> {
  const store = await openStore(uri);
  try {
    return await placed([uri], async () => {
      const header = await readHeader(store);
      const { name: tree, key } = await chooseTree(store, header.root, options.tree);
      signal?.throwIfAborted();
      return placed([tree], async () => {
        if (RNTUPLE_CLASSES.includes(key.className)) {
          return openRntuple(store, { uri, tree, key, ...(await identify(store, header)) }, signal);
        }
        const { tree: object, classes } = await readTreeObject(store, header, key);
        const described = describeTree(object, classes, store.size);
        const { rows, schema, unreadable, redundant } = described;
        const { id, uuidOffset } = await identify(store, header);
        const layout: RootLayout = { tree, uuidOffset, ...described.layout };
        const identity = { size: store.size, id, tree, entries: rows };
        const descriptor: FileDescriptor = { format: FORMAT, uri, rows, schema, identity, layout };
        return sourceFile(store, descriptor, { unreadable, redundant });
      });
    });
  } catch (cause) {
    await store.close();
    throw cause;
  }
}

async function reopen(descriptor: FileDescriptor): Promise<SourceFile> {
  return sourceFile(await openAgain(descriptor), descriptor, { unreadable: [], redundant: [] });
}

/** The names of all TTrees of a file, in file order; those in directories with their path. */
export async function listTrees(uri: string): Promise<readonly string[]> {
  const store = await openStore(uri);
  try {
    return await placed([uri], async () => {
      const header = await readHeader(store);
      const all = await listObjects(store, await readKeys(store, header.root), { prefix: '', depth: 0 });
      return all.filter(({ key }) => TREE_CLASSES.includes(key.className)).map(({ name }) => name);
    });
  } finally {
    await store.close();
  }
}

interface LeftOut {
  readonly unreadable: readonly UnreadableColumn[];
  readonly redundant: readonly string[];
}

function sourceFile(store: ByteStore, descriptor: FileDescriptor, leftOut: LeftOut): SourceFile {
  const layout = descriptor.layout as RootLayout;
  const branches = new Map(layout.branches.map((branch) => [branch.name, branch]));
  const reader: TreeReader = { store, rows: descriptor.rows, layout, branches, kept: { baskets: new Map(), bytes: 0 } };
  const where = [descriptor.uri, layout.tree];
  const lookup = columnFinder(branches, leftOut.unreadable, where);
  return {
    descriptor,
    ...leftOut,
    bytesOf: (names) => storedBytes(layout, names.map(lookup), branches),
    storageOf: (name) => {
      const { basketStart, basketEnd, compression } = lookup(name);
      return { blocks: basketEnd - basketStart, codec: codecName(compression) };
    },
    async objects() {
      const { root } = await readHeader(store);
      const all = await listObjects(store, await readKeys(store, root), { prefix: '', depth: 0 });
      return all.map(({ name, key }) => ({ name, type: key.className }));
    },
    rawBytesOf: (names) => names.map(lookup).reduce((sum, branch) => sum + branch.rawBytes, 0),
    async read(names, rowStart, rowEnd, signal, take, needed) {
      const wanted = names.map(lookup);
      return placed(where, () => readRows(reader, wanted, { rowStart, rowEnd }, { signal, take, needed }));
    },
    askAhead: (names, rowStart, rowEnd) => askBaskets(reader, names.map(lookup), { rowStart, rowEnd }),
    forget: () => forgetKept(reader.kept),
    close: () => store.close(),
  };
}

/** ROOT::RCompressionSetting: 100 x algorithm + level; files before algorithms had numbers say the level only. */
const ALGORITHMS = ['zlib', 'zlib', 'lzma', 'old zlib', 'lz4', 'zstd'];

function codecName(setting: number): string {
  if (setting < 0) return '';
  const level = setting % 100;
  const name = ALGORITHMS[Math.floor(setting / 100)];
  return level === 0 ? 'none' : name === undefined ? `algorithm ${Math.floor(setting / 100)}` : `${name} ${level}`;
}

/** Of these columns' branches and their counters, each once: columns of one branch share its baskets. */
function storedBytes(
  layout: RootLayout,
  wanted: readonly BranchLayout[],
  branches: ReadonlyMap<string, BranchLayout>,
): number {
  const all = new Map(wanted.map((branch) => [branch.basketStart, branch]));
  for (const { counter } of wanted) {
    const branch = counter === undefined ? undefined : branches.get(counter)!;
    if (branch !== undefined) all.set(branch.basketStart, branch);
  }
  let bytes = 0;
  for (const { basketStart, basketEnd } of all.values()) {
    for (let basket = basketStart; basket < basketEnd; basket++) bytes += layout.baskets.bytes[basket]!;
  }
  return bytes;
}

interface NamedKey {
  readonly name: string;
  readonly key: RootKey;
}

/** The tree asked for, else `Events`, else the RNTuple `EventData`, else the only one. */
async function chooseTree(store: ByteStore, root: RootDirectory, wanted: string | undefined): Promise<NamedKey> {
  const top = await readKeys(store, root);
  const isTree = (key: RootKey) => TREE_CLASSES.includes(key.className);
  const atTop = top.find((key) => key.name === (wanted ?? DEFAULT_TREE) && isTree(key));
  if (atTop) return { name: atTop.name, key: atTop };
  const atlas = top.find((key) => key.name === ATLAS_RNTUPLE && RNTUPLE_CLASSES.includes(key.className));
  if (wanted === undefined && atlas) return { name: atlas.name, key: atlas };
  const all = await listObjects(store, top, { prefix: '', depth: 0 });
  const trees = all.filter(({ key }) => isTree(key));
  const named = wanted === undefined ? undefined : trees.find(({ name }) => name === wanted.replace(/^\/+/, ''));
  if (named) return named;
  if (wanted === undefined && trees.length === 1) return trees[0]!;
  throw noTree(
    all,
    trees.map(({ name }) => name),
    wanted,
  );
}

function noTree(all: readonly NamedKey[], trees: readonly string[], wanted: string | undefined): ColweaveError {
  const name = wanted ?? DEFAULT_TREE;
  const other = all.find((object) => object.name === name);
  const present = trees.length === 0 ? 'the file has no trees' : `there are ${trees.join(', ')}`;
  const what = other
    ? `"${name}" is no tree but ${other.key.className}, which cannot be read`
    : `no tree "${name}": ${present}`;
  return new ColweaveError('source/no-tree', what, { near: nearestNames(name, trees) });
}

async function listObjects(
  store: ByteStore,
  keys: readonly RootKey[],
  at: { readonly prefix: string; readonly depth: number },
): Promise<NamedKey[]> {
  const found: NamedKey[] = [];
  for (const key of keys) {
    const name = at.prefix + key.name;
    if (!isDirectory(key)) {
      found.push({ name, key });
    } else if (at.depth < DIRECTORY_DEPTH_MAX) {
      const inner = await readKeys(store, await readDirectory(store, key));
      found.push(...(await listObjects(store, inner, { prefix: `${name}/`, depth: at.depth + 1 })));
    }
  }
  return found;
}
