// Owns the format root-rntuple: one RNTuple of a ROOT file as a source of columns. root-ttree opens the file and hands it over.
import type { ByteStore } from '../bytes/types.ts';
import { columnFinder } from './column-finder.ts';
import { shareOffsets } from './parquet/share.ts';
import { askPages } from './rntuple/ahead.ts';
import { parseAnchor } from './rntuple/envelope.ts';
import { forgetFile, numberFile } from './rntuple/kept.ts';
import type { RntupleLayout } from './rntuple/layout.ts';
import { describeRntuple } from './rntuple/open.ts';
import { type RntupleReader, readRows } from './rntuple/reader.ts';
import { memoryBytes, storedBytes } from './rntuple/weights.ts';
import { type RootKey, readObject } from './root/file-header.ts';
import { type NamedFile, openAgain, placed } from './root/identity.ts';
import type { FileDescriptor, SourceFile, SourceFormat, UnreadableColumn } from './types.ts';

const FORMAT = 'root-rntuple';
/** Of the key: what tells an RNTuple from a tree. */
export const RNTUPLE_CLASSES = ['ROOT::RNTuple', 'ROOT::Experimental::RNTuple'];

export const rootRntuple: SourceFormat = {
  name: FORMAT,
  recognises: () => false,
  open() {
    throw new Error('a ROOT file is opened by root-ttree');
  },
  async reopen(descriptor) {
    return sourceFile(await openAgain(descriptor), descriptor, { unreadable: [], redundant: [] });
  },
};

export interface RntupleKey extends NamedFile {
  readonly uri: string;
  /** With its directory. */
  readonly tree: string;
  readonly key: RootKey;
}

/** Errors: source/damaged, source/truncated, source/newer-format, source/too-many-rows. */
export async function openRntuple(store: ByteStore, at: RntupleKey, signal?: AbortSignal): Promise<SourceFile> {
  const { uri, tree, key, id, uuidOffset } = at;
  const anchor = parseAnchor(await readObject(store, key));
  const { rows, schema, layout, unreadable, redundant } = await describeRntuple(store, anchor, signal);
  const descriptor: FileDescriptor = {
    format: FORMAT,
    uri,
    rows,
    schema,
    identity: { size: store.size, id, tree, entries: rows },
    layout: { tree, uuidOffset, ...layout },
  };
  return sourceFile(store, descriptor, { unreadable, redundant });
}

interface LeftOut {
  readonly unreadable: readonly UnreadableColumn[];
  readonly redundant: readonly string[];
}

function sourceFile(store: ByteStore, descriptor: FileDescriptor, leftOut: LeftOut): SourceFile {
  const layout = descriptor.layout as RntupleLayout;
  const nodes = new Map(layout.nodes);
  const reader: RntupleReader = { store, layout, rows: descriptor.rows, file: numberFile() };
  const where = [descriptor.uri, layout.tree];
  const lookup = columnFinder(nodes, leftOut.unreadable, where);
  return {
    descriptor,
    ...leftOut,
    bytesOf: (names) => storedBytes(layout, names.map(lookup)),
    rawBytesOf: (names) => memoryBytes(layout, names.map(lookup)),
    async read(names, rowStart, rowEnd, signal, take) {
      const wanted = names.map(lookup);
      return placed(where, async () =>
        shareOffsets(await readRows(reader, wanted, { rowStart, rowEnd }, { signal, take })),
      );
    },
    askAhead: (names, rowStart, rowEnd) => askPages(reader, names.map(lookup), { rowStart, rowEnd }),
    async close() {
      forgetFile(reader.file);
      await store.close();
    },
  };
}
