// Owns reading the description of an RNTuple: header, footer, page lists, and what follows from them.
import type { ByteStore } from '../../bytes/types.ts';
import type { Schema } from '../../core/schema.ts';
import type { UnreadableColumn } from '../types.ts';
import { chunkTable } from './chunks.ts';
import { bits64, damaged, record, records, text, u32, u64 } from './cursor.ts';
import { describeFields } from './describe.ts';
import {
  type Anchor,
  type EnvelopeLink,
  envelopeLink,
  FOOTER_ENVELOPE,
  HEADER_ENVELOPE,
  PAGE_LIST_ENVELOPE,
  readEnvelope,
  refuseFeatures,
} from './envelope.ts';
import type { RntupleLayout } from './layout.ts';
import { type Cluster, clusterTable, inRowOrder, noPages, type Pages, pageTable, readPageList } from './page-list.ts';
import { readSchema, type SchemaRecords } from './schema-records.ts';

export interface RntupleDescription {
  readonly rows: number;
  readonly schema: Schema;
  readonly layout: Omit<RntupleLayout, 'tree' | 'uuidOffset'>;
  readonly unreadable: readonly UnreadableColumn[];
  readonly redundant: readonly string[];
}

interface Group {
  readonly clusters: number;
  readonly rowStart: number;
  readonly rows: number;
  readonly link: EnvelopeLink;
}

const NOTHING: SchemaRecords = { fields: [], columns: [], aliases: [] };

/** Errors: source/damaged, source/truncated, source/newer-format, source/too-many-rows. */
export async function describeRntuple(
  store: ByteStore,
  anchor: Anchor,
  signal?: AbortSignal,
): Promise<RntupleDescription> {
  const { keyBytesMax } = anchor;
  const header = await readEnvelope(store, anchor.header, {
    type: HEADER_ENVELOPE,
    what: 'the header of the RNTuple',
    keyBytesMax,
  });
  refuseFeatures(header.inside);
  text(header.inside); // name
  text(header.inside); // description
  text(header.inside); // who wrote it
  const early = readSchema(header.inside, NOTHING);

  const footer = await readEnvelope(store, anchor.footer, {
    type: FOOTER_ENVELOPE,
    what: 'the footer of the RNTuple',
    keyBytesMax,
  });
  refuseFeatures(footer.inside);
  if (bits64(footer.inside) !== header.checksum) throw damaged('the footer of the RNTuple belongs to another header');
  const extension = record(footer.inside);
  const schema = extension.at === extension.end ? early : readSchema(extension, early);
  const groups = records(footer.inside, (cursor): Group => {
    const rowStart = u64(cursor);
    const rows = u64(cursor);
    const clusters = u32(cursor);
    return { rowStart, rows, clusters, link: envelopeLink(cursor) };
  });

  const pages = noPages();
  const clusters: Cluster[] = [];
  const context = { columns: schema.columns, fileBytes: store.size, headerChecksum: header.checksum, keyBytesMax };
  for (const [g, group] of groups.entries()) {
    signal?.throwIfAborted();
    const what = `page list ${g} of the RNTuple`;
    const list = await readEnvelope(store, group.link, { type: PAGE_LIST_ENVELOPE, what, keyBytesMax });
    const read = readPageList(list.inside, pages, context);
    checkGroup(group, read, g);
    for (const cluster of read) clusters.push(cluster);
  }
  return settled(schema, inRowOrder(clusters), pages);
}

function checkGroup({ clusters, rowStart, rows }: Group, read: readonly Cluster[], g: number): void {
  const sum = read.reduce((total, cluster) => total + cluster.rows, 0);
  const first = read.reduce((least, cluster) => Math.min(least, cluster.rowStart), Number.POSITIVE_INFINITY);
  const sound = read.length === clusters && sum === rows && (read.length === 0 || first === rowStart);
  if (!sound) throw damaged(`cluster group ${g} has other entries than the footer says`);
}

function settled(schema: SchemaRecords, clusters: readonly Cluster[], pages: Pages): RntupleDescription {
  const described = describeFields(schema);
  const { chunks, pageOrder } = chunkTable(schema.columns, clusters, described.nodes);
  const ordered = noPages();
  for (const { pageStart, pageEnd } of pageOrder) {
    for (let page = pageStart; page < pageEnd; page++) {
      ordered.offset.push(pages.offset[page]!);
      ordered.bytes.push(pages.bytes[page]!);
      ordered.elementEnd.push(pages.elementEnd[page]!);
      ordered.summed.push(pages.summed[page]!);
    }
  }
  const rows = clusters.reduce((sum, cluster) => sum + cluster.rows, 0);
  const columns = schema.columns.map(({ type, bits, min, max }) => ({ type, bits, min, max }));
  return {
    rows,
    schema: described.schema,
    layout: { columns, clusters: clusterTable(clusters), chunks, pages: pageTable(ordered), nodes: described.nodes },
    unreadable: described.unreadable,
    redundant: described.redundant,
  };
}
