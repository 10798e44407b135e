// Owns checking an Arrow IPC file before apache-arrow reads it, which believes every length and would fill the memory.
// Layout: https://github.com/apache/arrow/blob/main/format/Message.fbs, Schema.fbs and File.fbs
import { ColweaveError } from '../../core/errors.ts';
import { byteAt, rootTable, sizeAt, slot, type Table, tableAt, tablesAt, textAt, vectorAt } from './flatbuffer.ts';

const CONTINUATION = 0xffffffff;
/** `ARROW1` and two bytes of padding, at the start of a file. */
const FILE_HEAD_BYTES = 8;
/** Length of the footer (4 bytes) and `ARROW1`, at the end. */
const FILE_TAIL_BYTES = 10;
const DEPTH_MAX = 64;
/** Offsets may lead back to the same field: this many are enough for any real schema. */
const FIELDS_MAX = 1 << 17;
/** Zstandard gives at most this many bytes for one. */
const EXPANSION_MAX = 1 << 15;
/** A column of nulls has a length without any bytes. */
const LENGTH_FREE_MAX = 1 << 20;

const SCHEMA = 1;
const DICTIONARY_BATCH = 2;
const RECORD_BATCH = 3;
const INT = 2;
const UNION = 14;
const MAP = 17;
const LIST_TYPES: readonly number[] = [12, 16, 21];
/** Types of Schema.fbs that the library cannot step over: it then reads nothing of the file. */
const UNKNOWN_TYPES: Readonly<Record<number, string>> = {
  22: 'run-end encoded',
  25: 'a list view',
  26: 'a large list view',
};
const INT_BITS: readonly number[] = [8, 16, 32, 64];

/** Errors: source/damaged, source/truncated. */
export function checkArrow(bytes: Uint8Array, isFile: boolean): void {
  try {
    if (isFile) checkFile(bytes);
    else checkStream(bytes);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ColweaveError('source/damaged', `the Arrow data cannot be read: ${cause.message}`, { cause });
  }
}

/** What record batches are checked with: of each top-level column, which of the batch's nodes is its. */
interface Shape {
  readonly tops: readonly number[];
}

function checkStream(bytes: Uint8Array): void {
  let at = 0;
  let shape: Shape = { tops: [] };
  while (at < bytes.length) {
    const next = checkMessage(bytes, at, shape);
    if (next.end === at) return;
    at = next.end;
    shape = next.shape;
  }
  throw new ColweaveError('source/truncated', 'the stream ends without its end mark');
}

function checkFile(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const footerEnd = bytes.length - FILE_TAIL_BYTES;
  const length = view.getInt32(footerEnd, true);
  if (length <= 0 || length > footerEnd - FILE_HEAD_BYTES) throw new RangeError(`a footer of ${length} bytes`);
  const footer = rootTable(bytes.subarray(footerEnd - length, footerEnd));
  const schema = tableAt(footer, 1);
  if (schema === undefined) throw new RangeError('the footer has no schema');
  const shape = checkSchema(schema);
  checkPairs(footer, 4);
  const blockBytes = 24;
  for (const field of [2, 3]) {
    const { start, count } = vectorAt(footer, field, blockBytes);
    for (let i = 0; i < count; i++) {
      const at = sizeAt(footer.view, start + i * blockBytes);
      const metadataBytes = footer.view.getInt32(start + i * blockBytes + 8, true);
      const bodyBytes = sizeAt(footer.view, start + i * blockBytes + 16);
      const { end, body } = checkMessage(bytes, at, field === 2 ? { tops: [] } : shape);
      if (end !== at + metadataBytes + bodyBytes || body !== bodyBytes)
        throw new RangeError('a block is not its message');
    }
  }
}

/** The message at byte `at`; `end` is `at` itself for the end mark of a stream. */
function checkMessage(bytes: Uint8Array, at: number, before: Shape) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(at, true) !== CONTINUATION) throw new RangeError('a message does not begin as one');
  const length = view.getInt32(at + 4, true);
  if (length === 0) return { end: at, body: 0, shape: before };
  const start = at + 8;
  if (length < 0 || length > bytes.length - start) throw new RangeError(`a message of ${length} bytes`);
  const message = rootTable(bytes.subarray(start, start + length));
  const bodySlot = slot(message, 3);
  const body = bodySlot === undefined ? 0 : sizeAt(message.view, bodySlot);
  if (body > bytes.length - start - length) {
    throw new ColweaveError('source/truncated', `a message of ${body} bytes runs over the end`);
  }
  checkPairs(message, 4);
  const header = tableAt(message, 2);
  if (header === undefined) throw new RangeError('a message has no header');
  const bodyBytes = bytes.subarray(start + length, start + length + body);
  const kind = byteAt(message, 1);
  let shape = before;
  if (kind === SCHEMA) shape = checkSchema(header);
  else if (kind === RECORD_BATCH) checkBatch(header, bodyBytes, before.tops);
  else if (kind === DICTIONARY_BATCH) {
    const data = tableAt(header, 1);
    if (data === undefined) throw new RangeError('a dictionary has no data');
    checkBatch(data, bodyBytes, []);
  } else throw new RangeError(`a message of kind ${kind}`);
  return { end: start + length + body, body, shape };
}

function checkSchema(schema: Table): Shape {
  const endianness = slot(schema, 0);
  if (endianness !== undefined && schema.view.getInt16(endianness, true) !== 0)
    throw new RangeError('it is big-endian');
  checkPairs(schema, 2);
  vectorAt(schema, 3, 8);
  const budget = { fields: 0 };
  const tops: number[] = [];
  let nodes = 0;
  for (const field of tablesAt(schema, 1)) {
    tops.push(nodes);
    nodes += checkField(field, 0, budget);
  }
  return { tops };
}

/** Returns how many nodes of a record batch the field takes. */
function checkField(field: Table, depth: number, budget: { fields: number }): number {
  if (depth > DEPTH_MAX || ++budget.fields > FIELDS_MAX) throw new RangeError('a schema without end');
  textAt(field, 0);
  checkPairs(field, 6);
  const type = tableAt(field, 3);
  if (type !== undefined && byteAt(field, 2) === UNION) vectorAt(type, 1, 4);
  const children = tablesAt(field, 5);
  checkType(field, type, children);
  let nodes = 1;
  for (const child of children) nodes += checkField(child, depth + 1, budget);
  return tableAt(field, 4) === undefined ? nodes : 1;
}

/** Lists have one child and maps pairs; a type that the library does not know is named. Errors: source/unreadable-column. */
function checkType(field: Table, type: Table | undefined, children: readonly Table[]): void {
  const id = byteAt(field, 2);
  if ((LIST_TYPES.includes(id) || id === MAP) && children.length !== 1) throw new RangeError('a list has no items');
  if (id === MAP && tablesAt(children[0]!, 5).length !== 2) throw new RangeError('a map has no pairs');
  const bits = type === undefined || id !== INT ? undefined : slot(type, 0);
  const width = bits === undefined ? 0 : type!.view.getInt32(bits, true);
  const wide = id === INT && width > 64 ? `an integer of ${width} bits` : undefined;
  const unknown = UNKNOWN_TYPES[id] ?? wide;
  if (unknown !== undefined) {
    throw new ColweaveError('source/unreadable-column', `column "${textAt(field, 0)}" is ${unknown}`, {
      hint: 'nothing of an Arrow file with such a column can be read: write it without, or as Parquet',
    });
  }
  if (id === INT && !INT_BITS.includes(width)) throw new RangeError(`an integer of ${width} bits`);
}

function checkPairs(parent: Table, field: number): void {
  for (const pair of tablesAt(parent, field)) {
    textAt(pair, 0);
    textAt(pair, 1);
  }
}

/** Buffers lie in the body, and no column is longer than the bytes of the body allow. */
function checkBatch(batch: Table, body: Uint8Array, tops: readonly number[]): void {
  const { view } = batch;
  const lengthSlot = slot(batch, 0);
  const length = lengthSlot === undefined ? 0 : sizeAt(view, lengthSlot);
  const compressed = tableAt(batch, 3) !== undefined;
  const bodyView = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const buffers = vectorAt(batch, 2, 16);
  let rawBytes = 0;
  for (let i = 0; i < buffers.count; i++) {
    const offset = sizeAt(view, buffers.start + i * 16);
    const bytes = sizeAt(view, buffers.start + i * 16 + 8);
    if (offset + bytes > body.length) throw new RangeError('a buffer runs over its message');
    rawBytes += compressed && bytes > 0 ? rawBytesOf(bodyView, offset, bytes) : bytes;
  }
  vectorAt(batch, 4, 8);
  const nodes = vectorAt(batch, 1, 16);
  const lengthMax = Math.max(rawBytes * 8, LENGTH_FREE_MAX);
  for (let i = 0; i < nodes.count; i++) {
    if (sizeAt(view, nodes.start + i * 16) > lengthMax) throw new RangeError('a column is longer than its bytes');
    if (sizeAt(view, nodes.start + i * 16 + 8) > lengthMax) throw new RangeError('a column has more nulls than rows');
  }
  for (const top of tops) {
    if (top >= nodes.count || sizeAt(view, nodes.start + top * 16) !== length) {
      throw new RangeError('a column is not as long as its batch');
    }
  }
}

/** A compressed buffer begins with its raw length; -1 says that it is not compressed after all. */
function rawBytesOf(body: DataView, offset: number, bytes: number): number {
  if (bytes < 8) throw new RangeError('a compressed buffer has no length');
  if (body.getBigInt64(offset, true) === -1n) return bytes - 8;
  const raw = sizeAt(body, offset);
  if (raw > bytes * EXPANSION_MAX) throw new RangeError(`${bytes} bytes cannot hold ${raw}`);
  return raw;
}
