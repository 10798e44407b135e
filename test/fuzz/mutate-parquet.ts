// Owns damage that aims at Parquet: a footer or page header taken apart and put together with lies, page bodies, bombs.
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressSnappy } from '../../src/codec/snappy.ts';
import { decompressPage } from '../../src/source/parquet/page.ts';
import { boundary, lie, type Mutated, type Mutation, type MutationInput } from './mutate.ts';
import type { Random } from './random.ts';
import { dumpStruct, field, parseStruct, type Struct, type Value, valuesOf } from './thrift.ts';

const TAIL_BYTES = 8;
/** Raw bytes of a page that is a bomb: far above what any fixture holds. */
const BOMB_BYTES = 96 * 2 ** 20;

function footerOf(bytes: Buffer): { readonly start: number; readonly root: Struct } {
  const start = bytes.length - TAIL_BYTES - bytes.readUInt32LE(bytes.length - TAIL_BYTES);
  return { start, root: parseStruct(bytes, start).struct };
}

function withFooter(data: Buffer, root: Struct): Buffer {
  const footer = dumpStruct(root);
  const tail = Buffer.alloc(TAIL_BYTES);
  tail.writeUInt32LE(footer.length);
  tail.write('PAR1', 4, 'latin1');
  return Buffer.concat([data, footer, tail]);
}

/** One value of a thrift structure, changed: a number, a string, a list with more or fewer elements, a field dropped. */
function lieIn(root: Struct, random: Random): void {
  const values = valuesOf(root);
  const target: Value = random.pick(values);
  switch (target.kind) {
    case 'integer':
      target.value = random.once(2)
        ? boundary(random)
        : random.pick([target.value + 2n, target.value - 2n, target.value * 2n, target.value ^ 1n]);
      if (target.value < 0n) target.value = 0n;
      return;
    case 'bytes':
      target.value = random.once(2)
        ? Buffer.alloc(random.below(300), random.below(256))
        : Buffer.from(target.value.subarray(0, random.below(target.value.length + 1)));
      return;
    case 'list': {
      const { items } = target;
      const at = random.below(items.length + 1);
      if (random.once(2)) items.splice(at, 1);
      else for (let n = random.pick([1, 1, 2, 100]); n > 0 && items.length > 0; n--) items.splice(at, 0, items[0]!);
      return;
    }
    case 'struct': {
      const { fields } = target.struct;
      if (fields.length > 0) fields.splice(random.below(fields.length), 1);
      return;
    }
    default:
      target.value = random.below(256);
  }
}

const footers: Mutation = ({ bytes, random }) => {
  const { start, root } = footerOf(bytes);
  for (let n = 1 + random.below(2); n > 0; n--) lieIn(root, random);
  return { bytes: withFooter(bytes.subarray(0, start), root) };
};

interface ChunkPlace {
  readonly meta: Struct;
  readonly start: number;
  readonly bytes: number;
}

const integerOf = (struct: Struct, id: number): bigint | undefined => {
  const found = field(struct, id);
  return found?.kind === 'integer' ? found.value >> 1n : undefined; // zigzag of a positive number
};

function chunksOf(root: Struct): ChunkPlace[] {
  const groups = field(root, 4);
  if (groups?.kind !== 'list') return [];
  return groups.items.flatMap((group) => {
    const columns = group.kind === 'struct' ? field(group.struct, 1) : undefined;
    if (columns?.kind !== 'list') return [];
    return columns.items.flatMap((column) => {
      const meta = column.kind === 'struct' ? field(column.struct, 3) : undefined;
      if (meta?.kind !== 'struct') return [];
      const data = Number(integerOf(meta.struct, 9) ?? 0n);
      const dictionary = Number(integerOf(meta.struct, 11) ?? 0n);
      const start = dictionary > 0 && dictionary < data ? dictionary : data;
      return [{ meta: meta.struct, start, bytes: Number(integerOf(meta.struct, 7) ?? 0n) }];
    });
  });
}

interface Page {
  readonly header: Struct;
  readonly body: Buffer;
}

function pagesOf(bytes: Buffer, { start, bytes: length }: ChunkPlace): Page[] {
  const pages: Page[] = [];
  for (let at = start; at < start + length; ) {
    const { struct, end } = parseStruct(bytes, at);
    const size = Number(integerOf(struct, 3) ?? 0n);
    pages.push({ header: struct, body: bytes.subarray(end, end + size) });
    at = end + size;
  }
  return pages;
}

const setInteger = (struct: Struct, id: number, value: number): void => {
  const found = field(struct, id);
  if (found?.kind === 'integer') found.value = BigInt(value) << 1n;
};

/** The file with one chunk's pages written anew, behind the others; CRCs are left out, so that decoders see the damage. */
function withPages(bytes: Buffer, change: (pages: Page[], chunk: ChunkPlace) => Page[], random: Random) {
  const { start, root } = footerOf(bytes);
  const places = chunksOf(root).filter((chunk) => chunk.bytes > 0);
  if (places.length === 0) return undefined;
  const chunk = random.pick(places);
  const pages = change(pagesOf(bytes, chunk), chunk);
  const parts = pages.flatMap(({ header, body }) => {
    header.fields = header.fields.filter(({ id }) => id !== 4);
    return [dumpStruct(header), body];
  });
  const written = Buffer.concat(parts);
  const first = pages[0] && integerOf(pages[0].header, 1);
  const headBytes = first === 2n ? parts[0]!.length + parts[1]!.length : 0;
  setInteger(chunk.meta, 7, written.length);
  setInteger(chunk.meta, 9, start + headBytes);
  setInteger(chunk.meta, 11, start);
  return withFooter(Buffer.concat([bytes.subarray(0, start), written]), root);
}

const mutated = (bytes: Buffer | undefined): Mutated | undefined => (bytes === undefined ? undefined : { bytes });

const pageHeaders: Mutation = ({ bytes, random }) =>
  mutated(
    withPages(
      bytes,
      (pages) => {
        const page = random.pick(pages);
        lieIn(page.header, random);
        return pages;
      },
      random,
    ),
  );

const isFalse = (value: Value | undefined): boolean => value?.kind === 'bool' && value.value === 2;

/** The pages without compression, which would find most damage before a decoder sees it. */
function unpacked(pages: Page[], { meta }: ChunkPlace): Page[] {
  const codec = Number(integerOf(meta, 4) ?? 0n);
  setInteger(meta, 4, 0);
  return pages.map(({ header, body }) => {
    const raw = Number(integerOf(header, 2) ?? 0n);
    const v2 = field(header, 8);
    const levels =
      v2?.kind === 'struct' ? Number((integerOf(v2.struct, 5) ?? 0n) + (integerOf(v2.struct, 6) ?? 0n)) : 0;
    const packed = v2?.kind !== 'struct' || !isFalse(field(v2.struct, 7));
    const values = packed ? decompressPage(codec, body.subarray(levels), raw - levels) : body.subarray(levels);
    const whole = Buffer.concat([body.subarray(0, levels), values]);
    setInteger(header, 3, whole.length);
    return { header, body: whole };
  });
}

/** Levels, runs, widths, lengths and values, with no checksum in the way. */
const pageBodies: Mutation = ({ bytes, random }) =>
  mutated(
    withPages(
      bytes,
      (stored, chunk) => {
        const pages = random.once(4) ? stored : unpacked(stored, chunk);
        const at = random.below(pages.length);
        const page = pages[at]!;
        const body = Buffer.from(page.body);
        if (body.length === 0) return pages;
        for (let n = 1 + random.below(3); n > 0; n--) {
          const place = random.once(2) ? random.below(Math.min(16, body.length)) : random.below(body.length);
          lie(body, place, random.pick([1, 1, 2, 4]), false, random);
        }
        return pages.with(at, { ...page, body });
      },
      random,
    ),
  );

const COMPRESSORS: Readonly<Record<number, (raw: Buffer) => Uint8Array>> = {
  1: (raw) => compressSnappy(raw),
  2: (raw) => gzipSync(raw, { level: 1 }),
  4: (raw) => brotliCompressSync(raw),
  6: (raw) => zstdCompressSync(raw),
};
const bombs = new Map<number, Buffer>();

/** A page that says, or really makes, hundreds of megabytes; the rows stay as they are. */
const pageBombs: Mutation = ({ bytes, random }: MutationInput) =>
  mutated(
    withPages(
      bytes,
      (pages, { meta }) => {
        const codec = Number(integerOf(meta, 4) ?? 0n);
        const at = random.below(pages.length);
        const page = pages[at]!;
        const compress = COMPRESSORS[codec];
        setInteger(page.header, 2, random.pick([BOMB_BYTES, BOMB_BYTES, 2 ** 31 - 1, 2 ** 30]));
        if (compress === undefined || random.once(2)) return pages;
        let body = bombs.get(codec);
        if (body === undefined) {
          // snappy gives 21 for 1 at most: a bomb of it is no small file
          body = Buffer.from(compress(Buffer.alloc(codec === 1 ? BOMB_BYTES / 64 : BOMB_BYTES)));
          bombs.set(codec, body);
        }
        setInteger(page.header, 2, codec === 1 ? BOMB_BYTES / 64 : BOMB_BYTES);
        setInteger(page.header, 3, body.length);
        return pages.with(at, { ...page, body });
      },
      random,
    ),
  );

export const PARQUET_MUTATIONS: Readonly<Record<string, Mutation>> = {
  footer: footers,
  'page-header': pageHeaders,
  'page-body': pageBodies,
  bomb: pageBombs,
};
