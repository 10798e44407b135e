// Owns Double32_t and Float16_t: how the range in a title says what is stored (TStreamerElement::SetRange of ROOT).
import type { Packing } from './wire.ts';

/** Mantissa bits of a Float16_t about which the title says nothing. */
const FLOAT16_BITS = 12;
/** More mantissa bits than this are not worth three bytes to ROOT: it stores a float then. */
const TRUNCATED_BITS_MAX = 14;

export type Stored = Packing | { readonly kind: 'float' };

/** `[low,high]`, `[low,high,bits]`, numbers or multiples of pi; absent: no range. Undefined where it makes no sense to us. */
export function packingOf(title: string, half: boolean): Stored | undefined {
  const inside = /\[([^\][]*,[^\][]*)\]/.exec(title)?.[1];
  const unranged: Stored = half ? { kind: 'truncated', bits: FLOAT16_BITS } : { kind: 'float' };
  if (inside === undefined) return unranged;
  const parts = inside.split(',').map((part) => part.trim());
  const low = boundary(parts[0]!);
  const high = boundary(parts[1]!);
  const given = parts.length > 2 ? Number(parts[2]) : 32;
  if (low === undefined || high === undefined || parts.length > 3 || !Number.isInteger(given)) return undefined;
  const bits = given < 2 || given > 32 ? 32 : given;
  if (high > low) return { kind: 'range', low, factor: (bits < 32 ? 2 ** bits : 0xffffffff) / (high - low) };
  return bits <= TRUNCATED_BITS_MAX ? { kind: 'truncated', bits } : unranged;
}

/** `-3.5`, `pi`, `-2*pi`, `pi/4`, `twopi`, `2pi`. */
function boundary(text: string): number | undefined {
  const number = '[0-9]*\\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+\\.';
  const plain = new RegExp(`^[-+]?(?:${number})$`);
  if (plain.test(text)) return Number(text);
  const form = new RegExp(`^([-+]?)(?:(${number})\\s*\\*?\\s*)?(pi|twopi)(?:\\s*/\\s*(${number}))?$`, 'i');
  const found = form.exec(text);
  if (!found) return undefined;
  const [, sign, times, name, over] = found;
  const turn = name!.toLowerCase() === 'pi' ? Math.PI : 2 * Math.PI;
  return ((sign === '-' ? -1 : 1) * Number(times ?? 1) * turn) / Number(over ?? 1);
}
