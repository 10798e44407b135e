// Owns the Thrift compact protocol, writing: varints, zigzag, field headers by id difference.
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
import { invariant } from '../../core/check.ts';
import { ThriftType } from '../../core/parquet-format.ts';

const FIRST_BYTES = 256;
/** A list of this many elements or more has its count after the header byte. */
const LONG_LIST = 15;
const ID_STEP_MAX = 15;

const encoder = new TextEncoder();

/** Grows as needed. Fields of a struct are written in the order of their ids. */
export class ThriftWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;
  #lastId = 0;
  readonly #outerIds: number[] = [];

  /** A struct that is an element of a list, or the outermost one. */
  beginStruct(): void {
    this.#outerIds.push(this.#lastId);
    this.#lastId = 0;
  }

  endStruct(): void {
    this.#byte(ThriftType.STOP);
    this.#lastId = this.#outerIds.pop() ?? 0;
  }

  structField(id: number): void {
    this.#field(id, ThriftType.STRUCT);
    this.beginStruct();
  }

  emptyStructField(id: number): void {
    this.structField(id);
    this.endStruct();
  }

  byteField(id: number, value: number): void {
    this.#field(id, ThriftType.BYTE);
    this.#byte(value);
  }

  boolField(id: number, value: boolean): void {
    this.#field(id, value ? ThriftType.TRUE : ThriftType.FALSE);
  }

  i32Field(id: number, value: number): void {
    this.#field(id, ThriftType.I32);
    this.i32(value);
  }

  /** A count or a position: never negative, below 2^52. */
  i64Field(id: number, value: number): void {
    invariant(Number.isSafeInteger(value * 2) && value >= 0, `i64 field ${id} is a count: ${value}`);
    this.#field(id, ThriftType.I64);
    this.#varint(value * 2);
  }

  stringField(id: number, value: string): void {
    this.binaryField(id, encoder.encode(value));
  }

  binaryField(id: number, value: Uint8Array): void {
    this.#field(id, ThriftType.BINARY);
    this.#binary(value);
  }

  /** The elements follow, written by `i32`, `string` or as structs. */
  listField(id: number, type: ThriftType, count: number): void {
    this.#field(id, ThriftType.LIST);
    if (count < LONG_LIST) {
      this.#byte((count << 4) | type);
      return;
    }
    this.#byte(0xf0 | type);
    this.#varint(count);
  }

  i32(value: number): void {
    this.#varint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  string(value: string): void {
    this.#binary(encoder.encode(value));
  }

  finish(): Uint8Array {
    invariant(this.#outerIds.length === 0, 'every struct is ended');
    return this.#bytes.slice(0, this.#length);
  }

  #field(id: number, type: ThriftType): void {
    const step = id - this.#lastId;
    invariant(step > 0 && step <= ID_STEP_MAX, `field ${id} after ${this.#lastId}`);
    this.#byte((step << 4) | type);
    this.#lastId = id;
  }

  #varint(value: number): void {
    let left = value;
    for (; left > 0x7f; left = Math.floor(left / 128)) this.#byte((left % 128) | 0x80);
    this.#byte(left);
  }

  #binary(value: Uint8Array): void {
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
