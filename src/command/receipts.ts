// Owns the receipt that a file carries, or that lies beside it.
import { existsSync, readFileSync } from 'node:fs';
import type { Receipt } from '../core/receipt.ts';
import { ownReceipt } from '../source/own-metadata.ts';
import type { SourceFile } from '../source/types.ts';
import { readReceipt } from '../verify/receipt-shape.ts';

export const receiptBeside = (path: string): string => `${path}.receipt.json`;

/** A receipt of the right shape, without a word on whether it holds. */
export function receiptOf(file: SourceFile): Receipt | undefined {
  const beside = receiptBeside(file.descriptor.uri);
  const text = ownReceipt(file.descriptor) ?? (existsSync(beside) ? readFileSync(beside, 'utf8') : undefined);
  return text === undefined ? undefined : readReceipt(text).receipt;
}
