// Owns where a checksum of the file covers its bytes: there no changed byte may pass as other data.
import { crc32 } from 'node:zlib';
import type { Range } from './mutate.ts';
import { recordsOf } from './mutate-root.ts';
import { field, parseStruct, type Struct } from './thrift.ts';

/** Empty where the format, or the file, has no checksums. */
export function guardedRanges(format: string, bytes: Buffer): readonly Range[] {
  if (format === 'parquet') return parquetPages(bytes);
  if (format === 'root-ttree') return rootBlocks(bytes);
  return [];
}

const numberOf = (struct: Struct, id: number): number => {
  const value = field(struct, id);
  return value?.kind === 'integer' ? Number((value.value >> 1n) ^ -(value.value & 1n)) : 0;
};

/** Bodies of pages with a CRC; a stretch that does not parse as a page header ends the walk of its chunk. */
function parquetPages(bytes: Buffer): Range[] {
  const footer = parseStruct(bytes, bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8)).struct;
  const ranges: Range[] = [];
  const groups = field(footer, 4);
  for (const group of groups?.kind === 'list' ? groups.items : []) {
    const columns = group.kind === 'struct' ? field(group.struct, 1) : undefined;
    for (const column of columns?.kind === 'list' ? columns.items : []) {
      const meta = column.kind === 'struct' ? field(column.struct, 3) : undefined;
      if (meta?.kind !== 'struct') continue;
      const data = numberOf(meta.struct, 9);
      const dictionary = numberOf(meta.struct, 11);
      const start = dictionary > 0 && dictionary < data ? dictionary : data;
      for (let at = start; at < start + numberOf(meta.struct, 7); ) {
        const { struct, end } = parseStruct(bytes, at);
        at = end + numberOf(struct, 3);
        const crc = field(struct, 4);
        if (crc === undefined) continue;
        if (crc32(bytes.subarray(end, at)) !== numberOf(struct, 4) >>> 0)
          throw new Error('a CRC of a fixture is wrong');
        ranges.push({ start: end, end: at });
      }
    }
  }
  return ranges;
}

/** Data of blocks with an Adler-32 (ZL), an xxh64 (L4) or the checks of an xz stream (XZ). */
function rootBlocks(bytes: Buffer): Range[] {
  const ranges: Range[] = [];
  if (bytes.readUInt32BE(4) >= 1_000_000) return ranges;
  for (const record of recordsOf(bytes)) {
    const end = record.at + record.bytes;
    let at = record.at + record.keyBytes;
    if (record.bytes - record.keyBytes >= record.objectBytes) continue;
    while (at + 9 < end) {
      const length = bytes.readUIntLE(at + 3, 3);
      if (['ZL', 'L4', 'XZ'].includes(bytes.toString('latin1', at, at + 2)) && at + 9 + length <= end) {
        ranges.push({ start: at + 9, end: at + 9 + length });
      }
      at += 9 + length;
    }
  }
  return ranges;
}
