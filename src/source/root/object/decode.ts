// Owns decoding entries of an object branch by its wire, into slots. Every length is checked before it is used, and
// every entry must end where the file says: bytes that do not follow their class description are refused.
import { type Dtype, dtypeBytes, viewAs } from '../../../core/dtype.ts';
import { ColweaveError } from '../../../core/errors.ts';
import { damaged } from '../baskets.ts';
import type { BasketData } from '../layout.ts';
import {
  type ListSink,
  makeSink,
  type NumberSink,
  pushList,
  pushString,
  reserve,
  type Sink,
  type StringSink,
  takeNumbers,
} from './sinks.ts';
import type { ListWire, NumberWire, ObjectLayout, PackedWire, RecordVersion, RecordWire, Wire } from './wire.ts';

/** Set in a byte count, the upper half of it in the first 16 bits. */
const BYTE_COUNT_FLAG = 0x40000000;
/** Set in the version of a container whose objects are stored member by member. */
const MEMBERWISE_FLAG = 0x4000;
/** Byte count, version, count of items. */
const LIST_HEADER_BYTES = 10;
const LONG_STRING = 255;
/** Bit of TObject::fBits: a process number follows. */
const IS_REFERENCED = 1 << 4;

/** Rows rowStart .. rowStart + rows: those after the first `skip` rows that were decoded. */
export interface ObjectPart {
  readonly rowStart: number;
  readonly rows: number;
  readonly skip: number;
  readonly sinks: readonly Sink[];
}

/** Where decoding is. `end`: no byte of this entry is there or after it. */
interface Run {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly sinks: readonly Sink[];
  at: number;
  end: number;
  /** Of the header that was read last. */
  version: number;
}

/** Entries from .. to (exclusive) of a basket of `entries`. Errors: source/damaged, source/unreadable-column. */
export function decodeObjects(
  { wire, slots }: ObjectLayout,
  { payload, entryOffsets, keyBytes }: BasketData,
  entries: number,
  { from, to }: { readonly from: number; readonly to: number },
): Omit<ObjectPart, 'rowStart'> {
  const sinks = slots.map(makeSink);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const run: Run = { view, bytes: payload, sinks, at: 0, end: payload.length, version: 0 };
  const ends = entryOffsets && entryEnds(entryOffsets, entries, keyBytes, payload.length);
  if (!ends && wire.kind === 'rest') throw unexpected('the file does not store where its entries start');
  const start = ends ? from : 0;
  if (ends && from > 0) run.at = ends[from - 1]!;
  if (ends && isNumberList(wire, sinks)) decodeNumberLists(run, wire, ends, from, to);
  else if (ends) {
    for (let entry = start; entry < to; entry++) {
      run.end = ends[entry]!;
      decode(run, wire);
      if (run.at !== run.end) throw unexpected(`entry ${entry} has bytes that its type does not say`);
    }
  } else {
    for (let entry = start; entry < to; entry++) decode(run, wire);
    if (to === entries && run.at !== run.end) throw unexpected('it has bytes that its type does not say');
  }
  return { rows: to - from, skip: from - start, sinks };
}

/** Where each entry ends; they must follow each other and fill the basket. */
function entryEnds(offsets: Uint8Array, entries: number, keyBytes: number, payloadBytes: number): Int32Array {
  const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength);
  const ends = new Int32Array(entries);
  let before = 0;
  for (let entry = 0; entry < entries; entry++) {
    const start = view.getInt32(4 * entry) - keyBytes;
    if (start < before || start > payloadBytes || (entry === 0 && start !== 0)) {
      throw damaged(`entry ${entry} of it starts at an impossible byte`);
    }
    if (entry > 0) ends[entry - 1] = start;
    before = start;
  }
  if (entries > 0) ends[entries - 1] = payloadBytes;
  return ends;
}

interface NumberListWire extends ListWire {
  readonly item: NumberWire;
}

function isNumberList(wire: Wire, sinks: readonly Sink[]): wire is NumberListWire {
  return wire.kind === 'list' && wire.header && wire.item.kind === 'number' && isPlain(wire.item, sinks);
}

/** Values of the slot's own dtype need no conversion. */
function isPlain({ dtype, slot }: NumberWire, sinks: readonly Sink[]): boolean {
  return (sinks[slot] as NumberSink).dtype === dtype;
}

/** vector<number>, entry after entry: the most there is of in a file of vectors. */
function decodeNumberLists(run: Run, wire: NumberListWire, ends: Int32Array, from: number, to: number): void {
  const { view, sinks } = run;
  const list = sinks[wire.slot] as ListSink;
  const values = sinks[wire.item.slot] as NumberSink;
  const { width } = values;
  let at = run.at;
  reserve(
    values,
    to > from ? Math.max(0, Math.floor((ends[to - 1]! - at - LIST_HEADER_BYTES * (to - from)) / width)) : 0,
  );
  for (let entry = from; entry < to; entry++) {
    const bytes = ends[entry]! - at;
    if (bytes < LIST_HEADER_BYTES) throw unexpected(`entry ${entry} is too short for a list`);
    const count = view.getUint32(at + 6);
    const whole = bytes === LIST_HEADER_BYTES + count * width && view.getUint32(at) === ((bytes - 4) | BYTE_COUNT_FLAG);
    if (!whole || (view.getUint16(at + 4) & MEMBERWISE_FLAG) !== 0) {
      throw unexpected(`entry ${entry} has ${bytes} bytes, its list counts ${count} values of ${width}`);
    }
    pushList(list, count);
    takeNumbers(values, view, at + LIST_HEADER_BYTES, count);
    at += bytes;
  }
  run.at = at;
}

function decode(run: Run, wire: Wire): void {
  switch (wire.kind) {
    case 'number':
      numbers(run, wire, 1);
      return;
    case 'packed':
      packed(run, wire, 1);
      return;
    case 'string': {
      const end = wire.header ? header(run) : 0;
      text(run, run.sinks[wire.slot] as StringSink, wire.length);
      if (wire.header) finishHeader(run, end, 'a string');
      return;
    }
    case 'fixed':
      items(run, wire.item, wire.size);
      return;
    case 'counted':
      counted(run, wire);
      return;
    case 'rest':
      rest(run, wire);
      return;
    case 'list':
      lists(run, wire);
      return;
    case 'record':
      record(run, wire);
      return;
    case 'tobject': {
      if ((take16(run) & MEMBERWISE_FLAG) !== 0) throw unexpected('a TObject has a byte count');
      const uniqueId = run.sinks[wire.uniqueId] as NumberSink;
      const bits = run.sinks[wire.bits] as NumberSink;
      const flags = need(run, 8) ? run.view.getUint32(run.at + 4) : 0;
      for (const sink of [uniqueId, bits]) {
        reserve(sink, 1);
        takeNumbers(sink, run.view, run.at, 1);
        run.at += 4;
      }
      if ((flags & IS_REFERENCED) !== 0) take16(run);
    }
  }
}

/** So many of one wire, one after the other. */
function items(run: Run, wire: Wire, count: number): void {
  if (wire.kind === 'number') numbers(run, wire, count);
  else if (wire.kind === 'packed') packed(run, wire, count);
  else for (let i = 0; i < count; i++) decode(run, wire);
}

/** Throws unless so many bytes are left of the entry. */
function need(run: Run, bytes: number): true {
  if (run.at + bytes > run.end) throw unexpected('an entry is shorter than its type');
  return true;
}

function take16(run: Run): number {
  need(run, 2);
  run.at += 2;
  return run.view.getUint16(run.at - 2);
}

function take32(run: Run): number {
  need(run, 4);
  run.at += 4;
  return run.view.getUint32(run.at - 4);
}

/** Byte count and version; gives where the object ends. */
function header(run: Run): number {
  const count = take32(run);
  if ((count & BYTE_COUNT_FLAG) === 0) throw unexpected('an object has no byte count');
  const end = run.at + (count & ~BYTE_COUNT_FLAG);
  if (end > run.end) throw unexpected('an object is longer than its entry');
  run.version = take16(run);
  return end;
}

function finishHeader(run: Run, end: number, what: string): void {
  if (run.at !== end) throw unexpected(`${what} has other bytes than its type says`);
}

function numbers(run: Run, wire: NumberWire, count: number): void {
  const sink = run.sinks[wire.slot] as NumberSink;
  const bytes = count * dtypeBytes(wire.dtype);
  need(run, bytes);
  reserve(sink, count);
  if (sink.dtype === wire.dtype) takeNumbers(sink, run.view, run.at, count);
  else widen(sink, run, wire.dtype, count);
  run.at += bytes;
}

/** Another version of a class had a wider type, or a Double32_t is stored as a float. */
function widen(sink: NumberSink, { view, at }: Run, dtype: Dtype, count: number): void {
  const width = dtypeBytes(dtype);
  const perValue = sink.width === 8 ? 2 : 1;
  const target = viewAs(sink.dtype, sink.words.buffer, 0, sink.words.length / perValue);
  for (let i = 0; i < count; i++) {
    const value = valueAt(view, at + i * width, dtype);
    if (sink.dtype === 'i64' || sink.dtype === 'u64') (target as BigUint64Array)[sink.count + i] = BigInt(value);
    else (target as Float64Array)[sink.count + i] = Number(value);
  }
  sink.count += count;
}

function valueAt(view: DataView, at: number, dtype: Dtype): number | bigint {
  switch (dtype) {
    case 'bool':
      return view.getUint8(at) === 0 ? 0 : 1;
    case 'i8':
      return view.getInt8(at);
    case 'u8':
      return view.getUint8(at);
    case 'i16':
      return view.getInt16(at);
    case 'u16':
      return view.getUint16(at);
    case 'i32':
      return view.getInt32(at);
    case 'u32':
      return view.getUint32(at);
    case 'i64':
      return view.getBigInt64(at);
    case 'u64':
      return view.getBigUint64(at);
    case 'f32':
      return view.getFloat32(at);
    case 'f64':
      return view.getFloat64(at);
  }
}

const floatBits = new Uint32Array(1);
const floatOfBits = new Float32Array(floatBits.buffer);

/** TBufferFile::ReadWithFactor and ReadWithNbits. */
function packed(run: Run, { packing, slot }: PackedWire, count: number): void {
  const sink = run.sinks[slot] as NumberSink;
  const bytes = packing.kind === 'range' ? 4 : 3;
  need(run, bytes * count);
  reserve(sink, count);
  const out = sink.width === 8 ? new Float64Array(sink.words.buffer) : new Float32Array(sink.words.buffer);
  for (let i = 0; i < count; i++, run.at += bytes) {
    if (packing.kind === 'range') {
      out[sink.count + i] = run.view.getUint32(run.at) / packing.factor + packing.low;
      continue;
    }
    const { bits } = packing;
    const mantissa = run.view.getUint16(run.at + 1);
    floatBits[0] = (run.view.getUint8(run.at) << 23) | ((mantissa & ((1 << (bits + 1)) - 1)) << (23 - bits));
    out[sink.count + i] = (mantissa & (1 << (bits + 1))) === 0 ? floatOfBits[0]! : -floatOfBits[0]!;
  }
  sink.count += count;
}

function text(run: Run, sink: StringSink, length: 'short' | 'long'): void {
  let bytes = 0;
  if (length === 'short') {
    need(run, 1);
    bytes = run.view.getUint8(run.at++);
  }
  if (length === 'long' || bytes === LONG_STRING) bytes = take32(run);
  need(run, bytes);
  pushString(sink, run.bytes, run.at, run.at + bytes);
  run.at += bytes;
}

function rest(run: Run, wire: Extract<Wire, { kind: 'rest' }>): void {
  need(run, wire.skip);
  run.at += wire.skip;
  if (wire.header) {
    const end = header(run);
    if (end !== run.end) throw unexpected('a list ends before its entry');
    if ((run.version & MEMBERWISE_FLAG) !== 0) throw unexpected('its objects are stored member by member');
  }
  let count = 0;
  for (; run.at < run.end; count++) decode(run, wire.item);
  pushList(run.sinks[wire.slot] as ListSink, count);
}

function counted(run: Run, wire: Extract<Wire, { kind: 'counted' }>): void {
  need(run, 1);
  const present = run.view.getUint8(run.at++) !== 0;
  const counter = run.sinks[wire.counter] as NumberSink;
  const count = present ? Number(viewAs(counter.dtype, counter.words.buffer, 0, counter.count)[counter.count - 1]) : 0;
  if (!(count >= 0 && count <= run.end - run.at)) throw unexpected(`an array counts ${count} items`);
  pushList(run.sinks[wire.slot] as ListSink, count);
  items(run, wire.item, count);
}

function lists(run: Run, wire: ListWire): void {
  const end = wire.header ? header(run) : 0;
  if (wire.header && (run.version & MEMBERWISE_FLAG) !== 0) memberwise(run, wire);
  else listItems(run, wire);
  if (wire.header) finishHeader(run, end, 'a list');
}

/** Every item has a byte at least, so that a damaged count cannot be beyond all bounds. */
function takeCount(run: Run): number {
  const count = take32(run);
  if (count > run.end - run.at) throw unexpected(`a list counts ${count} items in ${run.end - run.at} bytes`);
  return count;
}

function listItems(run: Run, wire: ListWire): void {
  const count = takeCount(run);
  pushList(run.sinks[wire.slot] as ListSink, count);
  items(run, wire.item, count);
}

/** A class version, the count, then each member of all items. With several `lists`, the version stands once for all. */
function memberwise(run: Run, wire: ListWire, lists = 1): void {
  if (wire.item.kind !== 'record') throw unexpected('a list of plain values is stored member by member');
  const version = versionOf(run, wire.item, take16(run));
  for (let i = 0; i < lists; i++) {
    const count = takeCount(run);
    pushList(run.sinks[wire.slot] as ListSink, count);
    if (count > 0) for (const member of version.members) memberItems(run, member, count);
  }
}

/** Containers and strings have one header for all; objects each their own; base classes none. */
function memberItems(run: Run, wire: Wire, count: number): void {
  if (wire.kind === 'record' && wire.base !== undefined) {
    const version = wire.versions[wire.base];
    if (version === undefined) throw unexpected(`the version of the base class ${wire.name} is not known`);
    for (const member of version.members) memberItems(run, member, count);
  } else if (wire.kind === 'fixed') {
    memberItems(run, wire.item, count * wire.size);
  } else if (wire.kind === 'tobject' || wire.kind === 'counted') {
    throw unexpected('objects with a TObject or a counted array are stored member by member');
  } else if ((wire.kind === 'list' || wire.kind === 'string') && wire.header) {
    const end = header(run);
    if (wire.kind === 'list' && (run.version & MEMBERWISE_FLAG) !== 0) memberwise(run, wire, count);
    else if (wire.kind === 'list') for (let i = 0; i < count; i++) listItems(run, wire);
    else for (let i = 0; i < count; i++) text(run, run.sinks[wire.slot] as StringSink, wire.length);
    finishHeader(run, end, 'a member of all items');
  } else {
    items(run, wire, count);
  }
}

function record(run: Run, wire: RecordWire): void {
  const end = wire.header ? header(run) : 0;
  const version = wire.header ? versionOf(run, wire, run.version) : wire.versions[0]!;
  for (const member of version.members) decode(run, member);
  if (wire.header) finishHeader(run, end, `an object of class ${wire.name}`);
}

/** Classes without a version number of their own have 0 and a checksum. */
function versionOf(run: Run, { name, versions }: RecordWire, version: number): RecordVersion {
  const checksum = version === 0 ? take32(run) : -1;
  const only = versions[0]!;
  if (only.checksum === -1) return only;
  const found = versions.find((each) => (version === 0 ? each.checksum === checksum : each.version === version));
  if (found) return found;
  const which = version === 0 ? `with checksum ${checksum}` : `version ${version}`;
  throw unexpected(`an object is of class ${name}, ${which}, which the file does not describe`);
}

function unexpected(what: string): ColweaveError {
  return new ColweaveError('source/unreadable-column', what);
}
