// Owns damage that aims at Arrow IPC: the FlatBuffers of messages and footer, and the offsets and lengths in bodies.
// Layout: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
import { zstdCompressSync } from 'node:zlib';
import { lie, type Mutation, type Range } from './mutate.ts';

const CONTINUATION = 0xffffffff;
const FILE_HEAD_BYTES = 8;
const BOMB_BYTES = 96 * 2 ** 20;

/** Where the metadata of each message lies, and the footer; the rest are bodies. */
function metadataOf(bytes: Buffer): Range[] {
  const isFile = bytes.toString('latin1', 0, 6) === 'ARROW1';
  const ranges: Range[] = [];
  let at = isFile ? FILE_HEAD_BYTES : 0;
  while (at + 8 <= bytes.length) {
    if (bytes.readUInt32LE(at) !== CONTINUATION) {
      at += 8; // a body: messages are aligned to 8 bytes
      continue;
    }
    const length = bytes.readInt32LE(at + 4);
    if (length <= 0 || length > bytes.length - at - 8) {
      at += 8;
      continue;
    }
    ranges.push({ start: at + 8, end: at + 8 + length });
    at += 8 + length;
  }
  if (isFile) {
    const end = bytes.length - 10;
    ranges.push({ start: end - bytes.readInt32LE(end), end });
  }
  return ranges;
}

const metadata: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const ranges = metadataOf(out);
  const touched: Range[] = [];
  for (let n = 1 + random.below(3); n > 0; n--) {
    const { start, end } = random.pick(ranges);
    const width = random.pick([1, 2, 4, 4, 8]);
    const at = start + Math.floor(random.below(end - start) / width) * width;
    touched.push(lie(out, at, width, false, random));
  }
  return { bytes: out, touched };
};

const bodies: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const ranges = metadataOf(out);
  const touched: Range[] = [];
  for (let n = 1 + random.below(3); n > 0; n--) {
    const width = random.pick([1, 4, 4, 8]);
    const at = Math.floor(random.below(out.length) / width) * width;
    if (ranges.some(({ start, end }) => at >= start - 8 && at < end)) continue;
    touched.push(lie(out, at, width, false, random));
  }
  return { bytes: out, touched };
};

let bomb: Buffer | undefined;

/** Zstandard frames of a file become one that makes far more, where it fits. */
const bombs: Mutation = ({ bytes, random }) => {
  const out = Buffer.from(bytes);
  const frames: number[] = [];
  const magic = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);
  for (let at = out.indexOf(magic); at >= 0; at = out.indexOf(magic, at + 1)) frames.push(at);
  if (frames.length === 0) return undefined;
  bomb ??= zstdCompressSync(Buffer.alloc(BOMB_BYTES));
  const at = random.pick(frames);
  const makes = random.pick([BOMB_BYTES, 2 ** 20, 2 ** 31, 2 ** 40]);
  out.writeBigInt64LE(BigInt(makes), at - 8);
  if (random.once(2)) bomb.copy(out, at);
  return { bytes: out };
};

export const ARROW_MUTATIONS: Readonly<{ [kind: string]: Mutation }> = {
  metadata,
  body: bodies,
  bomb: bombs,
};
