// Owns pages: a header in Thrift, then the compressed body with its checksum.
import { crc32 } from 'node:zlib';
import { compressSnappy } from '../../codec/snappy.ts';
import { compressZstd } from '../../codec/zstd.ts';
import { Codec, Encoding, PageType } from '../../core/parquet-format.ts';
import type { SinkOptions } from '../types.ts';
import { ThriftWriter } from './thrift-writer.ts';

/** Level 1 and 3 give files of one size once bytes are split by stream; 1 is faster. */
const ZSTD_LEVEL_DEFAULT = 1;

export type Compress = (body: Uint8Array) => Uint8Array;

export function compressorOf(options: SinkOptions): Compress {
  switch (options.compression) {
    case 'zstd': {
      const level = options.level ?? ZSTD_LEVEL_DEFAULT;
      return (body) => compressZstd(body, level);
    }
    case 'snappy':
      return compressSnappy;
    case 'none':
      return (body) => body.slice();
  }
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
  readonly body: Uint8Array;
  /** Header and body before compression. */
  readonly rawBytes: number;
}

export function dataPage(
  { entries, encoding }: { readonly entries: number; readonly encoding: Encoding },
  body: Uint8Array,
  compress: Compress,
): PageBytes {
  return page(PageType.DATA_PAGE, body, compress, (thrift) => {
    thrift.structField(5);
    thrift.i32Field(1, entries);
    thrift.i32Field(2, encoding);
    thrift.i32Field(3, Encoding.RLE);
    thrift.i32Field(4, Encoding.RLE);
    thrift.endStruct();
  });
}

export function dictionaryPage(count: number, body: Uint8Array, compress: Compress): PageBytes {
  return page(PageType.DICTIONARY_PAGE, body, compress, (thrift) => {
    thrift.structField(7);
    thrift.i32Field(1, count);
    thrift.i32Field(2, Encoding.PLAIN);
    thrift.endStruct();
  });
}

function page(
  type: PageType,
  body: Uint8Array,
  compress: Compress,
  describe: (thrift: ThriftWriter) => void,
): PageBytes {
  const compressed = compress(body);
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
