// Owns pages: a header in Thrift, then the compressed body with its checksum.
import { crc32 } from 'node:zlib';
import { compressSnappyInto, snappyBytesMax } from '../../codec/snappy.ts';
import { compressZstdInto, type ZstdContent, zstdBytesMax } from '../../codec/zstd.ts';
import { Codec, Encoding, PageType } from '../../core/parquet-format.ts';
import type { SinkOptions } from '../types.ts';
import { ThriftWriter } from './thrift-writer.ts';

/** Level 1 and 3 give files of one size once bytes are split by stream; 1 is faster. */
const ZSTD_LEVEL_DEFAULT = 1;

export interface Compressor {
  /** The most room that compressing so many bytes needs. */
  bytesMax(bytes: number): number;
  /** Writes to the start of `target`, which has the room; gives the length. */
  into(body: Uint8Array, target: Uint8Array, encoding: Encoding): number;
}

export function compressorOf(options: SinkOptions): Compressor {
  switch (options.compression) {
    case 'zstd': {
      const level = options.level ?? ZSTD_LEVEL_DEFAULT;
      return {
        bytesMax: zstdBytesMax,
        into: (body, target, encoding) => compressZstdInto(body, target, level, contentOf(encoding)),
      };
    }
    case 'snappy':
      return { bytesMax: snappyBytesMax, into: compressSnappyInto };
    case 'none':
      return { bytesMax: (bytes) => bytes, into: copyInto };
  }
}

/** What a page of this encoding mostly holds. */
export function contentOf(encoding: Encoding): ZstdContent {
  return encoding === Encoding.BYTE_STREAM_SPLIT ? 'streams' : 'any';
}

function copyInto(body: Uint8Array, target: Uint8Array): number {
  target.set(body);
  return body.length;
}

export function codecOf(options: SinkOptions): Codec {
  switch (options.compression) {
    case 'zstd':
      return Codec.ZSTD;
    case 'snappy':
      return Codec.SNAPPY;
    case 'none':
      return Codec.UNCOMPRESSED;
  }
}

export interface PageBytes {
  readonly header: Uint8Array;
  /** The start of the room that was given. */
  readonly body: Uint8Array;
  /** Header and body before compression. */
  readonly rawBytes: number;
}

export function dataPage(
  { entries, encoding }: { readonly entries: number; readonly encoding: Encoding },
  body: Uint8Array,
  compressor: Compressor,
  room: Uint8Array,
): PageBytes {
  return page(PageType.DATA_PAGE, { body, encoding, compressor, room }, (thrift) => {
    thrift.structField(5);
    thrift.i32Field(1, entries);
    thrift.i32Field(2, encoding);
    thrift.i32Field(3, Encoding.RLE);
    thrift.i32Field(4, Encoding.RLE);
    thrift.endStruct();
  });
}

export function dictionaryPage(count: number, body: Uint8Array, compressor: Compressor, room: Uint8Array): PageBytes {
  return page(PageType.DICTIONARY_PAGE, { body, encoding: Encoding.PLAIN, compressor, room }, (thrift) => {
    thrift.structField(7);
    thrift.i32Field(1, count);
    thrift.i32Field(2, Encoding.PLAIN);
    thrift.endStruct();
  });
}

function page(
  type: PageType,
  {
    body,
    encoding,
    compressor,
    room,
  }: {
    readonly body: Uint8Array;
    readonly encoding: Encoding;
    readonly compressor: Compressor;
    readonly room: Uint8Array;
  },
  describe: (thrift: ThriftWriter) => void,
): PageBytes {
  const compressed = room.subarray(0, compressor.into(body, room, encoding));
  const thrift = new ThriftWriter();
  thrift.beginStruct();
  thrift.i32Field(1, type);
  thrift.i32Field(2, body.length);
  thrift.i32Field(3, compressed.length);
  thrift.i32Field(4, crc32(compressed) | 0);
  describe(thrift);
  thrift.endStruct();
  const header = thrift.finish();
  return { header, body: compressed, rawBytes: header.length + body.length };
}
