// Owns where decoded values are collected: one growing array a slot, cut to size when a basket is done.
import { type Dtype, dtypeBytes } from '../../../core/dtype.ts';
import type { Slot } from './wire.ts';

const FIRST_CAPACITY = 64;

/** Values as unsigned words of their size; two words for 8 bytes, low first. */
export interface NumberSink {
  readonly kind: 'number';
  readonly dtype: Dtype;
  readonly width: 1 | 2 | 4 | 8;
  words: Uint8Array | Uint16Array | Uint32Array;
  count: number;
}

/** The end of each list among its items. */
export interface ListSink {
  readonly kind: 'list';
  ends: Int32Array;
  count: number;
  items: number;
}

/** The end of each string among the bytes. */
export interface StringSink {
  readonly kind: 'string';
  ends: Int32Array;
  count: number;
  bytes: Uint8Array;
  filled: number;
}

export interface FixedSink {
  readonly kind: 'fixed';
}

export type Sink = NumberSink | ListSink | StringSink | FixedSink;

export function makeSink(slot: Slot): Sink {
  switch (slot.kind) {
    case 'number': {
      const width = dtypeBytes(slot.dtype);
      return { kind: 'number', dtype: slot.dtype, width, words: makeWords(width, FIRST_CAPACITY), count: 0 };
    }
    case 'string':
      return { kind: 'string', ends: new Int32Array(FIRST_CAPACITY), count: 0, bytes: new Uint8Array(256), filled: 0 };
    case 'list':
      return { kind: 'list', ends: new Int32Array(FIRST_CAPACITY), count: 0, items: 0 };
    case 'fixed':
      return { kind: 'fixed' };
  }
}

function makeWords(width: 1 | 2 | 4 | 8, values: number): NumberSink['words'] {
  if (width === 1) return new Uint8Array(values);
  if (width === 2) return new Uint16Array(values);
  return new Uint32Array(width === 8 ? 2 * values : values);
}

/** Makes room for `more` values. */
export function reserve(sink: NumberSink, more: number): void {
  const needed = sink.count + more;
  const perValue = sink.width === 8 ? 2 : 1;
  if (needed * perValue <= sink.words.length) return;
  const words = makeWords(sink.width, Math.max(needed, (2 * sink.words.length) / perValue));
  words.set(sink.words as Uint8Array);
  sink.words = words;
}

export function pushList(sink: ListSink, items: number): void {
  if (sink.count === sink.ends.length) sink.ends = grown(sink.ends);
  sink.items += items;
  sink.ends[sink.count++] = sink.items;
}

export function pushString(sink: StringSink, text: Uint8Array, from: number, to: number): void {
  if (sink.count === sink.ends.length) sink.ends = grown(sink.ends);
  const filled = sink.filled + to - from;
  if (filled > sink.bytes.length) {
    const bytes = new Uint8Array(Math.max(filled, 2 * sink.bytes.length));
    bytes.set(sink.bytes);
    sink.bytes = bytes;
  }
  for (let i = from, at = sink.filled; i < to; i++) sink.bytes[at++] = text[i]!;
  sink.filled = filled;
  sink.ends[sink.count++] = filled;
}

function grown(ends: Int32Array): Int32Array {
  const larger = new Int32Array(2 * ends.length);
  larger.set(ends);
  return larger;
}

/** `count` big-endian values from `at` of `view` as they are; the room must be there, and `view` be long enough. */
export function takeNumbers(sink: NumberSink, view: DataView, at: number, count: number): void {
  const { words, count: before } = sink;
  switch (sink.width) {
    case 1:
      if (sink.dtype === 'bool') takeBools(words as Uint8Array, before, view, at, count);
      else takeBytes(words as Uint8Array, before, view, at, count);
      break;
    case 2:
      take16(words as Uint16Array, before, view, at, count);
      break;
    case 4:
      take32(words as Uint32Array, before, view, at, count);
      break;
    case 8:
      take64(words as Uint32Array, before, view, at, count);
  }
  sink.count = before + count;
}

function takeBytes(out: Uint8Array, before: number, view: DataView, at: number, count: number): void {
  for (let i = 0; i < count; i++) out[before + i] = view.getUint8(at + i);
}

/** True is any byte but 0 in a file, and 1 in memory. */
function takeBools(out: Uint8Array, before: number, view: DataView, at: number, count: number): void {
  for (let i = 0; i < count; i++) out[before + i] = view.getUint8(at + i) === 0 ? 0 : 1;
}

function take16(out: Uint16Array, before: number, view: DataView, at: number, count: number): void {
  for (let i = 0, from = at; i < count; i++, from += 2) out[before + i] = view.getUint16(from);
}

function take32(out: Uint32Array, before: number, view: DataView, at: number, count: number): void {
  for (let i = 0, from = at; i < count; i++, from += 4) out[before + i] = view.getUint32(from);
}

function take64(out: Uint32Array, before: number, view: DataView, at: number, count: number): void {
  for (let i = 2 * before, from = at; i < 2 * (before + count); i += 2, from += 8) {
    out[i] = view.getUint32(from + 4);
    out[i + 1] = view.getUint32(from);
  }
}
