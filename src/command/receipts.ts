// Owns the receipt that a file carries, or that lies beside it.
import { existsSync, readFileSync } from 'node:fs';
import { RECEIPT_KEY, type Receipt } from '../core/receipt.ts';
import { arrowMetadata } from '../source/arrow.ts';
import { parquetMetadata } from '../source/parquet.ts';
import type { FileDescriptor, SourceFile } from '../source/types.ts';
import { readReceipt } from '../verify/receipt-shape.ts';

/** The text inside the file, if it has one. */
export function ownReceipt(descriptor: FileDescriptor): string | undefined {
  if (descriptor.format === 'parquet') return parquetMetadata(descriptor).get(RECEIPT_KEY);
  return descriptor.format === 'arrow' ? arrowMetadata(descriptor).get(RECEIPT_KEY) : undefined;
}

export const receiptBeside = (path: string): string => `${path}.receipt.json`;

/** A receipt of the right shape, without a word on whether it holds. */
export function receiptOf(file: SourceFile): Receipt | undefined {
  const beside = receiptBeside(file.descriptor.uri);
  const text = ownReceipt(file.descriptor) ?? (existsSync(beside) ? readFileSync(beside, 'utf8') : undefined);
  return text === undefined ? undefined : readReceipt(text).receipt;
}
