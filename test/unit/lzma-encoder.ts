// Makes LZMA2 chunks of given symbols, also of wrong ones, with the help of names instead of a layout: https://www.7-zip.org/sdk.html.

export type LzmaSymbol =
  | { readonly literal: number }
  | { readonly length: number; readonly distance: number }
  /** Again the distance of that age, 0 the newest; one byte of the newest is a symbol of its own. */
  | { readonly length: number; readonly age: number };

export interface LzmaOptions {
  readonly lc: number;
  readonly lp: number;
  readonly pb: number;
}

/** What a chunk begins anew. */
export type Reset = 'none' | 'state' | 'properties' | 'dictionary';
const CONTROL: Readonly<Record<Reset, number>> = { none: 0x80, state: 0xa0, properties: 0xc0, dictionary: 0xe0 };

export function lzmaEncoder() {
  let { lc, lp, pb }: LzmaOptions = { lc: 3, lp: 0, pb: 2 };
  let plain: number[] = [];
  let dictionary = 0;
  let state = 0;
  let distances = [1, 1, 1, 1];
  let odds = new Map<string, number>();
  let packed: number[] = [];
  let [low, range, cache, pending] = [0, 0xffffffff, 0, 1];

  function shiftLow(): void {
    if (low < 0xff000000 || low > 0xffffffff) {
      const carry = low > 0xffffffff ? 1 : 0;
      packed.push((cache + carry) & 255);
      for (; pending > 1; pending--) packed.push((255 + carry) & 255);
      pending = 0;
      cache = Math.floor(low / 2 ** 24) & 255;
    }
    pending++;
    low = (low % 2 ** 24) * 256;
  }
  function narrow(): void {
    if (range >= 2 ** 24) return;
    range = (range * 256) % 2 ** 32;
    shiftLow();
  }
  function bit(name: string, value: number): void {
    const odd = odds.get(name) ?? 1024;
    const bound = (range >>> 11) * odd;
    if (value === 0) range = bound;
    else [low, range] = [low + bound, range - bound];
    odds.set(name, value === 0 ? odd + ((2048 - odd) >> 5) : odd - (odd >> 5));
    narrow();
  }
  function direct(value: number, bits: number): void {
    for (let i = bits - 1; i >= 0; i--) {
      range >>>= 1;
      if ((value >>> i) & 1) low += range;
      narrow();
    }
  }
  function tree(name: string, value: number, bits: number): void {
    for (let i = bits - 1, node = 1; i >= 0; i--) {
      bit(`${name} ${node}`, (value >>> i) & 1);
      node = (node << 1) | ((value >>> i) & 1);
    }
  }
  function reverse(name: string, value: number, bits: number): void {
    for (let i = 0, node = 1; i < bits; i++) {
      bit(`${name} ${node}`, (value >>> i) & 1);
      node = (node << 1) | ((value >>> i) & 1);
    }
  }

  const place = () => plain.length - dictionary;
  const positionState = () => place() % 2 ** pb;
  function literal(byte: number): void {
    const before = place() > 0 ? plain.at(-1)! : 0;
    const name = `literal ${place() % 2 ** lp} ${before >> (8 - lc)}`;
    const matched = plain[plain.length - distances[0]!]!;
    let alike = state >= 7;
    for (let i = 7, node = 1; i >= 0; i--) {
      const value = (byte >> i) & 1;
      const other = (matched >> i) & 1;
      bit(alike ? `${name} after ${other} ${node}` : `${name} ${node}`, value);
      alike &&= value === other;
      node = (node << 1) | value;
    }
    plain.push(byte);
    state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }
  function length(name: string, value: number): void {
    bit(`${name} not short`, value < 10 ? 0 : 1);
    if (value >= 10) bit(`${name} long`, value < 18 ? 0 : 1);
    if (value < 10) tree(`${name} short ${positionState()}`, value - 2, 3);
    else if (value < 18) tree(`${name} middle ${positionState()}`, value - 10, 3);
    else tree(`${name} long`, value - 18, 8);
  }
  function distance(value: number, bytes: number): void {
    const less = (value - 1) >>> 0;
    const highest = 31 - Math.clz32(less);
    const slot = less < 4 ? less : 2 * highest + ((less >>> (highest - 1)) & 1);
    tree(`slot ${Math.min(bytes - 2, 3)}`, slot, 6);
    if (slot < 4) return;
    const bits = highest - 1;
    const rest = less % 2 ** bits;
    if (slot < 14) {
      reverse(`special ${slot}`, rest, bits);
    } else {
      direct(rest >>> 4, bits - 4);
      reverse('align', rest & 15, 4);
    }
  }
  function copy(bytes: number): void {
    for (let i = 0; i < bytes; i++) plain.push(plain[plain.length - distances[0]!] ?? 0);
  }
  function symbol(one: LzmaSymbol): void {
    bit(`match ${state} ${positionState()}`, 'literal' in one ? 0 : 1);
    if ('literal' in one) literal(one.literal);
    else match(one);
  }
  function match(one: Exclude<LzmaSymbol, { literal: number }>): void {
    const afterLiteral = state < 7;
    bit(`repeat ${state}`, 'age' in one ? 1 : 0);
    if ('distance' in one) {
      length('length', one.length);
      distance(one.distance, one.length);
      distances = [one.distance, ...distances.slice(0, 3)];
      state = afterLiteral ? 7 : 10;
    } else {
      bit(`older ${state}`, one.age > 0 ? 1 : 0);
      if (one.age === 0) bit(`not a byte ${state} ${positionState()}`, one.length > 1 ? 1 : 0);
      else bit(`older 2 ${state}`, one.age > 1 ? 1 : 0);
      if (one.age > 1) bit(`older 3 ${state}`, one.age > 2 ? 1 : 0);
      distances = [distances[one.age]!, ...distances.filter((_, age) => age !== one.age)];
      if (one.length > 1) length('repeat length', one.length);
      state = one.length === 1 ? (afterLiteral ? 9 : 11) : afterLiteral ? 8 : 11;
    }
    copy(one.length);
  }

  return {
    /** Bytes since the dictionary began: no distance may be larger. */
    place,
    /** The last four, newest first. */
    distances: () => distances,
    /** All that the chunks become. */
    plain: () => Uint8Array.from(plain),
    chunk(symbols: readonly LzmaSymbol[], reset: Reset = 'none', options: LzmaOptions = { lc, lp, pb }): number[] {
      const from = plain.length;
      if (reset !== 'none') [state, distances, odds] = [0, [1, 1, 1, 1], new Map()];
      if (reset === 'dictionary') dictionary = from;
      if (reset === 'dictionary' || reset === 'properties') ({ lc, lp, pb } = options);
      packed = [];
      [low, range, cache, pending] = [0, 0xffffffff, 0, 1];
      for (const one of symbols) symbol(one);
      for (let i = 0; i < 5; i++) shiftLow();
      const [bytes, stored] = [plain.length - from - 1, packed.length - 1];
      const head = [CONTROL[reset] | (bytes >> 16), (bytes >> 8) & 255, bytes & 255, stored >> 8, stored & 255];
      const properties = reset === 'dictionary' || reset === 'properties' ? [(pb * 5 + lp) * 9 + lc] : [];
      return [...head, ...properties, ...packed];
    },
    /** A chunk that is not compressed. */
    stored(bytes: readonly number[], reset = false): number[] {
      if (reset) dictionary = plain.length;
      plain = [...plain, ...bytes];
      return [reset ? 1 : 2, (bytes.length - 1) >> 8, (bytes.length - 1) & 255, ...bytes];
    },
  };
}
