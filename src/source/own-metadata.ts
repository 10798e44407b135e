// Owns what a file says of itself beside its columns, also where it is read through a cache.
import { RECEIPT_KEY } from '../core/receipt.ts';
import { arrowMetadata } from './arrow.ts';
import { parquetMetadata } from './parquet.ts';
import type { CachedLayout, FileDescriptor } from './types.ts';

/** The format of a descriptor that stands for a file behind a cache. */
export const CACHED = 'cached';

export const cachedLayout = ({ format, layout }: FileDescriptor): CachedLayout | undefined =>
  format === CACHED ? (layout as CachedLayout) : undefined;

/** The name of the format that the file itself has. */
export const ownFormat = (descriptor: FileDescriptor): string =>
  cachedLayout(descriptor)?.ownFormat ?? descriptor.format;

/** The text of the receipt inside the file, if it has one. */
export function ownReceipt(descriptor: FileDescriptor): string | undefined {
  if (descriptor.format === 'parquet') return parquetMetadata(descriptor).get(RECEIPT_KEY);
  if (descriptor.format === 'arrow') return arrowMetadata(descriptor).get(RECEIPT_KEY);
  return cachedLayout(descriptor)?.receipt;
}
