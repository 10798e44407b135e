// Owns LZMA2, the compressed data of an xz block: https://tukaani.org/xz/xz-file-format.txt 5.3.1. Its symbols are the kernel's.
import { ColweaveError } from '../core/errors.ts';
import { copyChunk, decodeChunk, decodedBlock, makeRoom, resetState, setProperties } from './lzma-kernel.ts';
import { BAD_END, DECODED, MATCH_OUTSIDE, NO_START, TOO_SHORT } from './lzma-layout.ts';

const FAULTS: Readonly<Record<number, string>> = {
  [NO_START]: 'a chunk has no start',
  [MATCH_OUTSIDE]: 'a match leads out of it',
  [TOO_SHORT]: 'a chunk is too short',
  [BAD_END]: 'a chunk does not end where it should',
};

/** Decodes the chunks from `from` on into the whole of `target`; returns where they end. Errors: source/damaged. */
export function decodeLzma2(source: Uint8Array, from: number, target: Uint8Array): number {
  makeRoom(target.length);
  let next = from;
  let at = 0;
  let dictionary = 0;
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const control = source[next];
    if (control === 0) break;
    if (control === undefined || next + 6 > source.length) throw damaged('it is cut');
    const compressed = control >= 0x80;
    const isDictionary = compressed ? control >= 0xe0 : control === 1;
    if (needsDictionary && !isDictionary) throw damaged('it does not start with a reset');
    if (isDictionary) {
      dictionary = at;
      needsProperties = true;
    }
    needsDictionary = false;
    const low = (source[next + 1]! << 8) | source[next + 2]!;
    const end = at + 1 + (compressed ? ((control & 0x1f) << 16) | low : low);
    if (end > target.length) throw damaged(`it holds more than ${target.length} bytes`);
    if (compressed) {
      const packed = 1 + ((source[next + 3]! << 8) | source[next + 4]!);
      if (needsProperties && control < 0xc0) throw damaged('a reset is missing');
      needsProperties = false;
      const start = control >= 0xc0 ? next + 6 : next + 5;
      if (start + packed > source.length) throw damaged('it is cut');
      if (control >= 0xc0) readProperties(source[next + 5]!);
      if (control >= 0xa0) resetState();
      const result = decodeChunk(source.subarray(start, start + packed), { at, end, dictionary });
      if (result !== DECODED) throw damaged(FAULTS[result]!);
      next = start + packed;
    } else {
      if (control > 2) throw damaged(`a chunk of the unknown kind ${control}`);
      const start = next + 3;
      next = start + end - at;
      if (next > source.length) throw damaged('it is cut');
      copyChunk(source.subarray(start, next), at);
    }
    at = end;
  }
  if (at !== target.length) throw damaged(`it holds ${at} bytes, expected ${target.length}`);
  target.set(decodedBlock(at));
  return next + 1;
}

function readProperties(byte: number): void {
  const context = byte % 9;
  const literal = Math.trunc(byte / 9) % 5;
  const position = Math.trunc(byte / 45);
  if (position > 4 || context + literal > 4) throw damaged(`its properties are ${byte}`);
  setProperties(context, literal, position);
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `an xz stream is damaged: ${what}`);
}
