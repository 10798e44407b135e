// Owns which encoding a column chunk gets: decided from the chunk's own values, never from time, so that equal data are equal bytes.
import type { Dtype, Values } from '../../core/dtype.ts';
import { bitsOf, isFloat } from '../../core/dtype.ts';
import { buildDictionary, type Dictionary } from './dictionary.ts';
import { bitWidth } from './hybrid.ts';
import type { Compressor } from './page.ts';
import {
  deltaEncoder,
  dictionaryEncoder,
  packedBoolEncoder,
  plainEncoder,
  runBoolEncoder,
  splitEncoder,
  storedBytes,
  type ValueEncoder,
} from './values.ts';

/** Candidates are compared on this many first values of the chunk. */
const SAMPLE_VALUES = 4096;
/** Booleans are eighths of bytes: 4 KiB of them. */
const SAMPLE_BOOLS = 32_768;
/** A dictionary must save this part of the plain bytes. */
const DICTIONARY_GAIN = 0.75;

export function chooseEncoder(dtype: Dtype, values: Values, compressor: Compressor): ValueEncoder {
  if (dtype === 'bool') {
    const bools = values as Uint8Array;
    return smallest(
      [packedBoolEncoder(bools), runBoolEncoder(bools)],
      Math.min(values.length, SAMPLE_BOOLS),
      compressor,
    );
  }
  if (values.length === 0) return plainEncoder(dtype, values);
  const dictionary = buildDictionary(bitsOf(values));
  if (dictionary !== undefined && dictionaryPays(dictionary, storedBytes(dtype))) {
    return dictionaryEncoder(dtype, values, dictionary, indexWidth(dictionary.first.length));
  }
  if (isFloat(dtype)) return splitEncoder(values as Float32Array | Float64Array);
  const candidates = [plainEncoder(dtype, values), deltaEncoder(dtype, values)];
  return smallest(candidates, Math.min(values.length, SAMPLE_VALUES), compressor);
}

/** 1, 2, 4 or 8 bits: an index never straddles two bytes, so that the entropy coder behind sees whole symbols. */
function indexWidth(distinct: number): number {
  const needed = bitWidth(distinct - 1);
  return needed <= 2 ? needed : needed <= 4 ? 4 : 8;
}

function dictionaryPays({ first, indices }: Dictionary, valueBytes: number): boolean {
  const plain = indices.length * valueBytes;
  return first.length * valueBytes + (indices.length * indexWidth(first.length)) / 8 <= plain * DICTIONARY_GAIN;
}

/** The first of those that are smallest on the sample. */
function smallest(candidates: readonly ValueEncoder[], sampleCount: number, compressor: Compressor): ValueEncoder {
  let best = candidates[0]!;
  let bestBytes = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const sample = new Uint8Array(candidate.bytesMax(0, sampleCount));
    const written = sample.subarray(0, candidate.write(0, sampleCount, sample, 0));
    const room = new Uint8Array(compressor.bytesMax(written.length));
    const bytes = compressor.into(written, room, candidate.encoding);
    if (bytes >= bestBytes) continue;
    best = candidate;
    bestBytes = bytes;
  }
  return best;
}
