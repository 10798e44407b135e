// Owns chance for the fuzz run: a case is made from (seed, subject, number) alone, the same on every machine.

export interface Random {
  /** An integer 0 .. limit (exclusive); 0 where limit is 0. */
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
  /** True once in `times`. */
  once(times: number): boolean;
}

export function randomOf(...parts: readonly (string | number)[]): Random {
  let state = hashOf(parts.join('\0'));
  // splitmix32
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return { below, pick: (items) => items[below(items.length)]!, once: (times) => below(times) === 0 };
}

/** FNV-1a over the text's bytes. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash | 0;
}
