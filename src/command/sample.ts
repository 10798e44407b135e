// Owns the name of the sample: nothing in a row tells two simulated samples apart, so receipts of different ones never join.
import { ColweaveError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Dataset } from '../source/dataset.ts';
import { ownReceipt } from '../source/own-metadata.ts';

/** The one sample that the option and the receipts of all inputs name, or undefined. Errors: join/sample-differs. */
export function agreeOnSample(asked: string | undefined, datasets: readonly Dataset[]): string | undefined {
  let sample = asked;
  let from = '--sample';
  for (const { descriptor } of datasets) {
    for (const { descriptor: file } of descriptor.files) {
      const named = sampleOf(ownReceipt(file));
      if (named === undefined) continue;
      if (sample !== undefined && sample !== named) {
        throw new ColweaveError(
          'join/sample-differs',
          `source "${descriptor.label}" is of sample "${named}", ${from} says "${sample}"`,
          {
            where: [file.uri],
          },
        );
      }
      sample = named;
      from = file.uri;
    }
  }
  return sample;
}

function sampleOf(receipt: string | undefined): string | undefined {
  if (receipt === undefined) return undefined;
  try {
    const { sample } = (JSON.parse(receipt) as Receipt).spec;
    return typeof sample === 'string' ? sample : undefined;
  } catch {
    return undefined; // not a receipt of ours: verify says what is wrong with it
  }
}
