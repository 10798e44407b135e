// Owns the wire format of protobuf, as far as the messages of inference servers need it: varints, lengths, fields in any order.

/** Wire types: how long a field is. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Fields are written in the order of the calls; large bytes are kept apart, so that nothing is copied. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  #room = Buffer.allocUnsafe(256);
  #end = 0;
  #bytes = 0;

  /** Nothing is written for the default, as proto3 has it. */
  text(field: number, value: string): this {
    return value === '' ? this : this.bytes(field, Buffer.from(value));
  }

  /** A count or a length: never negative. */
  integer(field: number, value: number): this {
    if (value === 0) return this;
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
    return this;
  }

  message(field: number, inner: MessageWriter): this {
    return this.parts(field, inner.finish());
  }

  /** Repeated numbers in one field; they are not negative. */
  packed(field: number, values: readonly number[]): this {
    const inner = new MessageWriter();
    for (const value of values) inner.#varint(value);
    return this.parts(field, inner.finish());
  }

  /** Written even when empty: as an item of a repeated field it counts. */
  bytes(field: number, value: Uint8Array): this {
    return this.parts(field, [value]);
  }

  parts(field: number, values: readonly Uint8Array[]): this {
    this.#varint(field * 8 + BYTES);
    this.#varint(values.reduce((sum, { length }) => sum + length, 0));
    for (const value of values) this.#append(value);
    return this;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#bytes;
  }

  finish(): readonly Uint8Array[] {
    this.#cut();
    return this.#parts;
  }

  #append(value: Uint8Array): void {
    this.#bytes += value.length;
    if (value.length <= this.#room.length - this.#end) {
      this.#room.set(value, this.#end);
      this.#end += value.length;
      return;
    }
    this.#cut();
    this.#parts.push(value);
  }

  #cut(): void {
    if (this.#end > 0) this.#parts.push(this.#room.subarray(0, this.#end));
    this.#room = Buffer.allocUnsafe(256);
    this.#end = 0;
  }

  #varint(value: number): void {
    if (this.#room.length - this.#end < 10) this.#cut();
    let rest = value;
    const start = this.#end;
    while (rest >= 128) {
      this.#room[this.#end++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#room[this.#end++] = rest;
    this.#bytes += this.#end - start;
  }
}

/** One field as it lies in a message: varints have no bytes, all others no number. */
export interface WireField {
  readonly field: number;
  readonly number: number;
  readonly bytes: Uint8Array | undefined;
}

/** Fields in their order; undefined = the bytes are no message. Unknown fields are for the caller to pass over. */
export function decodeFields(message: Uint8Array): WireField[] | undefined {
  const fields: WireField[] = [];
  const cursor = { at: 0 };
  while (cursor.at < message.length) {
    const tag = varint(message, cursor);
    if (tag === undefined || tag < 8) return undefined;
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === VARINT) {
      const number = varint(message, cursor);
      if (number === undefined) return undefined;
      fields.push({ field, number, bytes: undefined });
      continue;
    }
    const length = wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : wire === BYTES ? varint(message, cursor) : undefined;
    if (length === undefined || length > message.length - cursor.at) return undefined;
    fields.push({ field, number: 0, bytes: message.subarray(cursor.at, cursor.at + length) });
    cursor.at += length;
  }
  return fields;
}

/** Numbers of a repeated field: packed, or one field each. */
export function numbersOf(fields: readonly WireField[], field: number): number[] | undefined {
  const numbers: number[] = [];
  for (const each of fields) {
    if (each.field !== field) continue;
    if (each.bytes === undefined) {
      numbers.push(each.number);
      continue;
    }
    const cursor = { at: 0 };
    while (cursor.at < each.bytes.length) {
      const number = varint(each.bytes, cursor);
      if (number === undefined) return undefined;
      numbers.push(number);
    }
  }
  return numbers;
}

/** Two's complement of 64 bits: negative numbers, such as a length of -1, have ten bytes. Undefined = cut short, or too long. */
function varint(bytes: Uint8Array, cursor: { at: number }): number | undefined {
  let low = 0;
  let high = 0;
  for (let n = 0; n < 10; n++) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) return undefined;
    const part = byte & 127;
    if (n < 4) low += part * 2 ** (7 * n);
    else if (n === 4) {
      low += (part & 15) * 2 ** 28;
      high += part >> 4;
    } else high += part * 2 ** (7 * n - 32);
    if (byte < 128) {
      const word = high % 2 ** 32;
      return word >= 2 ** 31 ? (word - 2 ** 32) * 2 ** 32 + low : word * 2 ** 32 + low;
    }
  }
  return undefined;
}
