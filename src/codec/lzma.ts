// Owns xz streams (ROOT's LZMA): the optional native package, loaded when the first such block is met.
import { createRequire } from 'node:module';
import { ColweaveError } from '../core/errors.ts';

const PACKAGE = '@napi-rs/lzma';
const FOOTER_BYTES = 12;

interface Lzma {
  readonly xz: { decompressSync(source: Uint8Array): Uint8Array };
}

let loaded: Lzma | undefined;

/**
 * The `size` bytes of one whole .xz stream. The synchronous call keeps up to twice the memory of the asynchronous one
 * (312 against 166 MB for blocks of ROOT's size), but asynchronous blocks would make every reader above asynchronous.
 */
export function decompressXz(source: Uint8Array, size: number): Uint8Array {
  const { xz } = load();
  const claimed = indexedBytes(source);
  if (claimed !== size) throw damaged(`its index says ${claimed} bytes, expected ${size}`);
  let bytes: Uint8Array;
  try {
    bytes = xz.decompressSync(source);
  } catch (cause) {
    throw damaged(`it does not decompress`, cause);
  }
  if (bytes.length !== size) throw damaged(`it holds ${bytes.length} bytes, expected ${size}`);
  return bytes;
}

function load(): Lzma {
  if (loaded) return loaded;
  try {
    loaded = createRequire(import.meta.url)(PACKAGE) as Lzma;
    return loaded;
  } catch (cause) {
    throw new ColweaveError('source/not-readable', `LZMA data need the optional package ${PACKAGE}, which is absent`, {
      cause,
      hint: `install it (npm install ${PACKAGE}), or compress the file with another algorithm (hadd -f505)`,
    });
  }
}

/**
 * Sum of the uncompressed sizes in the stream's index, read before anything is decompressed: the package has no limit
 * of its own, and 16 MiB of xz can hold gigabytes. Format: https://tukaani.org/xz/xz-file-format.txt sections 2.1.2, 4.
 */
function indexedBytes(source: Uint8Array): number {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const footer = source.length - FOOTER_BYTES;
  if (footer < FOOTER_BYTES || source[footer + 10] !== 0x59 || source[footer + 11] !== 0x5a) {
    throw damaged('it does not end in a stream footer');
  }
  const indexBytes = (view.getUint32(footer + 4, true) + 1) * 4;
  let at = footer - indexBytes;
  if (at < FOOTER_BYTES || source[at] !== 0) throw damaged('it has no index');
  at++;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < footer && scale < 2 ** 49; scale *= 128) {
      const byte = source[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw damaged('its index is cut');
  };
  let total = 0;
  for (let records = varint(); records > 0; records--) {
    varint();
    total += varint();
  }
  return total;
}

function damaged(what: string, cause?: unknown): ColweaveError {
  return new ColweaveError('source/damaged', `an xz stream is damaged: ${what}`, { cause });
}
