// Writes the text of the LZMA kernel: the symbols of one LZMA2 chunk, https://www.7-zip.org/sdk.html (LZMA specification), and CRC-64.
// Text by a program, since all trees are unrolled. What makes it fast, here where floats make half of all bits random:
// - No branch on the bits of trees: both next probabilities are loaded before a bit is known, compare and move take one of them.
// - No bounds of input a bit: `from` is compared once a symbol; what a symbol may read beyond is there (INPUT_SPARE).
// - Matches are copied by words of eight bytes, beyond their end: what follows is written over later, or spare.
import * as at from '../src/codec/lzma-layout.ts';

const LOCALS_32 =
  'position positionState state distance length before address probability zero one below base symbol offset match next' +
  ' children offsetZero offsetOne value slot bits count rest32 source stop stride';
const LOCALS_64 = 'range code bound rest word';

const get = (name) => `(local.get $${name})`;
const set = (name, value) => `(local.set $${name} ${value})`;
const i32 = (value) => `(i32.const ${value})`;
const i64 = (value) => `(i64.const ${value})`;
const add = (left, right) => `(i32.add ${left} ${right})`;
const subtract = (left, right) => `(i32.sub ${left} ${right})`;
const and = (left, right) => `(i32.and ${left} ${right})`;
const times2 = (value, power = 1) => `(i32.shl ${value} ${i32(power)})`;
const below = (left, right) => `(i32.lt_u ${left} ${right})`;
const choose = (condition, yes, no) => `(select ${yes} ${no} ${condition})`;
const when = (condition, ...then) => `(if ${condition} (then ${then.join('\n')}))`;
const either = (condition, yes, no) => `(if ${condition} (then ${yes}) (else ${no}))`;
const refuse = (status) => `(return ${i32(status)})`;
const low = (name) => `(i32.wrap_i64 ${get(name)})`;

const word = (place) => `(i32.load ${i32(place)})`;
const distanceAt = (age) => at.DISTANCES_AT + 4 * age;
const setWord = (place, value) => `(i32.store ${i32(place)} ${value})`;
/** Of the probability with this number, if `address` is 0. */
const placeOf = (number) => at.PROBABILITIES_AT + 2 * number;
const load = (number, address) => `(i32.load16_u offset=${placeOf(number)} ${address})`;
const store = (number, address, value) => `(i32.store16 offset=${placeOf(number)} ${address} ${value})`;

const NORMALIZE = when(
  `(i64.lt_u ${get('range')} ${i64(1 << 24)})`,
  set('range', `(i64.shl ${get('range')} ${i64(8)})`),
  // in 32 bits: what damaged data shift out is gone
  set('code', `(i64.extend_i32_u (i32.or ${times2(low('code'), 8)} (i32.load8_u ${get('from')})))`),
  set('from', add(get('from'), i32(1))),
);
const BOUND = set('bound', `(i64.mul (i64.shr_u ${get('range')} ${i64(11)}) (i64.extend_i32_u ${get('probability')}))`);
const IS_ZERO = `(i64.lt_u ${get('code')} ${get('bound')})`;

/** One bit that decides what comes next. */
function branch(number, address, ifZero, ifOne) {
  const probability = get('probability');
  return `
    ${set('address', address)}
    ${set('probability', load(number, get('address')))}
    ${BOUND}
    ${either(
      IS_ZERO,
      `${set('range', get('bound'))}
      ${store(number, get('address'), add(probability, `(i32.shr_u ${subtract(i32(2048), probability)} ${i32(5)})`))}
      ${NORMALIZE} ${ifZero}`,
      `${set('range', `(i64.sub ${get('range')} ${get('bound')})`)}
      ${set('code', `(i64.sub ${get('code')} ${get('bound')})`)}
      ${store(number, get('address'), subtract(probability, `(i32.shr_u ${probability} ${i32(5)})`))}
      ${NORMALIZE} ${ifOne}`,
    )}`;
}

/**
 * One bit of a tree, without a branch on it: `below` becomes all ones for a 0, `symbol` gets the bit. The probability is
 * loaded. Two kinds of comparison that say the same, since a comparison with two uses is made a number first by V8.
 */
function treeBit(number, address, then = '') {
  const change = `(i32.shr_s ${add(get('probability'), and(get('below'), i32(31 - 2048)))} ${i32(5)})`;
  return `
    ${BOUND}
    ${set('rest', `(i64.sub ${get('code')} ${get('bound')})`)}
    ${set('below', `(i32.wrap_i64 (i64.shr_s ${get('rest')} ${i64(63)}))`)}
    ${store(number, address, subtract(get('probability'), change))}
    ${set('symbol', add(add(times2(get('symbol')), get('below')), i32(1)))}
    ${then}
    ${set('range', choose(IS_ZERO, get('bound'), `(i64.sub ${get('range')} ${get('bound')})`))}
    ${set('code', choose(REST_BELOW, get('code'), get('rest')))}
    ${NORMALIZE}`;
}
const REST_BELOW = `(i64.lt_s ${get('rest')} ${i64(0)})`;
const TAKE_CHILD = set('probability', choose(REST_BELOW, get('zero'), get('one')));
const node = () => add(get('base'), times2(get('symbol')));
const steps = (count, step) => Array.from({ length: count }, (_, i) => step(i, i === count - 1)).join('\n');

/** `bits` bits, the highest first, of the tree at `base`: `symbol` becomes 1 followed by them. */
function tree(number, bits) {
  return `
    ${set('symbol', i32(1))}
    ${set('probability', load(number + 1, get('base')))}
    ${steps(bits, (_, isLast) =>
      isLast
        ? treeBit(number, node())
        : `${set('children', add(get('base'), times2(get('symbol'), 2)))}
          ${set('zero', load(number, get('children')))}
          ${set('one', load(number + 1, get('children')))}
          ${treeBit(number, node(), TAKE_CHILD)}`,
    )}`;
}

/**
 * A literal after a match: the byte that would have gone on with it, `match`, tells which probabilities to take, until they
 * part. `offset` is 0x100 probabilities until then, and 0 from there on.
 */
function matchedTree(number) {
  const matched = (bits, offset) => add(offset, and(bits, offset));
  return `
    ${set('symbol', i32(1))}
    ${set('offset', i32(0x200))}
    ${set('match', times2(get('match'), 2))}
    ${set('address', add(get('base'), matched(get('match'), get('offset'))))}
    ${set('address', add(get('address'), i32(2)))}
    ${set('probability', load(number, get('address')))}
    ${steps(8, (_, isLast) =>
      isLast
        ? treeBit(number, get('address'))
        : `${set('next', times2(get('match')))}
          ${set('offsetOne', and(get('offset'), get('match')))}
          ${set('offsetZero', `(i32.xor ${get('offset')} ${get('offsetOne')})`)}
          ${set('children', add(get('base'), times2(get('symbol'), 2)))}
          ${set('zero', load(number, add(get('children'), matched(get('next'), get('offsetZero')))))}
          ${set('one', load(number + 1, add(get('children'), matched(get('next'), get('offsetOne')))))}
          ${treeBit(
            number,
            get('address'),
            `${TAKE_CHILD}
            ${set('offset', and(get('offset'), `(i32.xor ${get('match')} ${get('below')})`))}
            ${set('match', get('next'))}
            ${set('address', add(node(), matched(get('match'), get('offset'))))}`,
          )}`,
    )}`;
}

/** One bit of a tree whose lowest bit comes first, added to `value`. */
function reverseBit(number, shift) {
  return `
    ${set('address', node())}
    ${set('probability', load(number, get('address')))}
    ${treeBit(
      number,
      get('address'),
      set('value', add(get('value'), `(i32.shl ${add(get('below'), i32(1))} ${shift})`)),
    )}`;
}

function length(number) {
  const some = (first, bits, least) =>
    `${tree(number + first, bits)} ${set('length', add(get('symbol'), i32(least - (1 << bits))))}`;
  const ofPosition = set('base', times2(get('positionState'), 4));
  return branch(
    number,
    i32(0),
    `${ofPosition} ${some(at.LENGTH_SHORT, 3, 2)}`,
    branch(
      number + 1,
      i32(0),
      `${ofPosition} ${some(at.LENGTH_MIDDLE, 3, 10)}`,
      `${set('base', i32(0))} ${some(at.LENGTH_LONG, 8, 18)}`,
    ),
  );
}

/** Bits of even odds, the highest first; a negative rest stands for a 0. In 32 bits, as damaged data may need it. */
const DIRECT_BITS = `(loop $direct
  ${set('range', `(i64.shr_u ${get('range')} ${i64(1)})`)}
  ${set('rest32', subtract(low('code'), low('range')))}
  ${set('below', `(i32.shr_s ${get('rest32')} ${i32(31)})`)}
  ${set('code', `(i64.extend_i32_u ${add(get('rest32'), and(low('range'), get('below')))})`)}
  ${set('value', add(add(times2(get('value')), get('below')), i32(1)))}
  ${NORMALIZE}
  ${set('count', subtract(get('count'), i32(1)))}
  (br_if $direct ${get('count')}))`;

/** The distance of a match of `length` bytes. Leaves the block $distance when it is known. */
const NEW_DISTANCE = `
  ${set('base', times2(choose(below(get('length'), i32(5)), subtract(get('length'), i32(2)), i32(3)), 7))}
  ${tree(at.SLOT, 6)}
  ${set('slot', subtract(get('symbol'), i32(64)))}
  ${set('distance', get('slot'))}
  (br_if $distance ${below(get('slot'), i32(4))})
  ${set('bits', subtract(`(i32.shr_u ${get('slot')} ${i32(1)})`, i32(1)))}
  ${set('distance', `(i32.shl (i32.or ${i32(2)} ${and(get('slot'), i32(1))}) ${get('bits')})`)}
  ${set('symbol', i32(1))}
  ${set('value', i32(0))}
  ${either(
    below(get('slot'), i32(14)),
    `${set('base', times2(subtract(get('distance'), get('slot'))))}
    ${set('count', i32(0))}
    (loop $special
      ${reverseBit(at.SPECIAL, get('count'))}
      ${set('count', add(get('count'), i32(1)))}
      (br_if $special ${below(get('count'), get('bits'))}))`,
    `${set('count', subtract(get('bits'), i32(4)))}
    ${DIRECT_BITS}
    ${set('value', times2(get('value'), 4))}
    ${set('base', i32(0))}
    ${steps(4, (i) => reverseBit(at.ALIGN, i32(i)))}`,
  )}
  ${set('distance', add(get('distance'), get('value')))}`;

const ofState = times2(get('state'));
const ofStateAndPosition = times2(add(times2(get('state'), 4), get('positionState')));
const nextState = (afterLiteral, other) =>
  set('state', choose(below(get('state'), i32(7)), i32(afterLiteral), i32(other)));

const LITERAL_SYMBOL = `
  ${set(
    'base',
    `(i32.mul ${i32(2 * 0x300)} ${add(
      `(i32.shl ${and(get('position'), word(at.LITERAL_MASK_AT))} ${word(at.CONTEXT_BITS_AT)})`,
      `(i32.shr_u ${get('before')} ${word(at.CONTEXT_SHIFT_AT)})`,
    )})`,
  )}
  ${either(
    below(get('state'), i32(7)),
    `${tree(at.LITERAL, 8)}
    ${set('state', choose(below(get('state'), i32(4)), i32(0), subtract(get('state'), i32(3))))}`,
    `${set('match', `(i32.load8_u ${subtract(subtract(get('at'), get('distance')), i32(1))})`)}
    ${matchedTree(at.LITERAL)}
    ${set('state', subtract(get('state'), choose(below(get('state'), i32(10)), i32(3), i32(6))))}`,
  )}
  ${set('before', and(get('symbol'), i32(255)))}
  (i32.store8 ${get('at')} ${get('symbol')})
  ${set('at', add(get('at'), i32(1)))}`;

/** Ages of the distances between `age` and the newest grow; the one of that age is the newest. */
const reuse = (age) => `
  ${set('value', word(distanceAt(age)))}
  ${steps(age - 1, (i) => setWord(distanceAt(age - i), word(distanceAt(age - i - 1))))}
  ${setWord(distanceAt(1), get('distance'))}
  ${set('distance', get('value'))}`;

const MATCH_SYMBOL = `(block $distance
  ${branch(
    at.IS_REPEAT,
    ofState,
    `${setWord(distanceAt(3), word(distanceAt(2)))}
    ${setWord(distanceAt(2), word(distanceAt(1)))}
    ${setWord(distanceAt(1), get('distance'))}
    ${nextState(7, 10)}
    ${length(at.LENGTH)}
    ${NEW_DISTANCE}
    (br $distance)`,
    branch(
      at.IS_OLDER,
      ofState,
      branch(at.IS_LONG, ofStateAndPosition, `${set('length', i32(1))} ${nextState(9, 11)} (br $distance)`, ''),
      branch(at.IS_OLDER2, ofState, reuse(1), branch(at.IS_OLDER3, ofState, reuse(2), reuse(3))),
    ),
  )}
  ${nextState(8, 11)}
  ${length(at.REPEAT_LENGTH)})`;

/** At a distance of less than a word, the word of repeated bytes is written again and again. */
const COPY = `
  ${when(`(i32.ge_u ${get('distance')} ${get('position')})`, refuse(at.MATCH_OUTSIDE))}
  ${when(below(subtract(get('end'), get('at')), get('length')), refuse(at.MATCH_OUTSIDE))}
  ${set('source', subtract(subtract(get('at'), get('distance')), i32(1)))}
  ${set('stop', add(get('at'), get('length')))}
  ${either(
    below(get('distance'), i32(7)),
    `${set('stride', add(get('distance'), i32(1)))}
    ${set('address', times2(get('stride'), 4))}
    ${set('word', `(i64.and (i64.load ${get('source')}) (i64.load offset=${at.REPEATS_AT} ${get('address')}))`)}
    ${set('word', `(i64.mul ${get('word')} (i64.load offset=${at.REPEATS_AT + 8} ${get('address')}))`)}
    ${set('stride', `(i32.load8_u offset=${at.STRIDES_AT} ${get('stride')})`)}
    (loop $repeats
      (i64.store ${get('at')} ${get('word')})
      ${set('at', add(get('at'), get('stride')))}
      (br_if $repeats ${below(get('at'), get('stop'))}))`,
    `(loop $words
      (i64.store ${get('at')} (i64.load ${get('source')}))
      ${set('at', add(get('at'), i32(8)))}
      ${set('source', add(get('source'), i32(8)))}
      (br_if $words ${below(get('at'), get('stop'))}))`,
  )}
  ${set('at', get('stop'))}
  ${set('before', `(i32.load8_u ${subtract(get('at'), i32(1))})`)}`;

const DECODE = `(func (export "decode")
  (param $from i32) (param $inputEnd i32) (param $at i32) (param $end i32) (param $dictionary i32) (result i32)
  ${LOCALS_32.split(' ')
    .map((name) => `(local $${name} i32)`)
    .join(' ')}
  ${LOCALS_64.split(' ')
    .map((name) => `(local $${name} i64)`)
    .join(' ')}
  ${when(below(subtract(get('inputEnd'), get('from')), i32(5)), refuse(at.NO_START))}
  ${when(`(i32.load8_u ${get('from')})`, refuse(at.NO_START))}
  ${set('range', i64(0xffffffff))}
  ${steps(4, (i) =>
    set('code', `(i64.or (i64.shl ${get('code')} ${i64(8)}) (i64.load8_u offset=${i + 1} ${get('from')}))`),
  )}
  ${set('from', add(get('from'), i32(5)))}
  ${set('state', word(at.STATE_AT))}
  ${set('distance', word(distanceAt(0)))}
  ${when(below(get('dictionary'), get('at')), set('before', `(i32.load8_u ${subtract(get('at'), i32(1))})`))}
  (block $done (loop $next
    (br_if $done (i32.ge_u ${get('at')} ${get('end')}))
    ${when(below(get('inputEnd'), get('from')), refuse(at.TOO_SHORT))}
    ${set('position', subtract(get('at'), get('dictionary')))}
    ${set('positionState', and(get('position'), word(at.POSITION_MASK_AT)))}
    ${branch(at.IS_MATCH, ofStateAndPosition, `${LITERAL_SYMBOL} (br $next)`, '')}
    ${MATCH_SYMBOL}
    ${COPY}
    (br $next)))
  ${setWord(at.STATE_AT, get('state'))}
  ${setWord(distanceAt(0), get('distance'))}
  ${choose(
    `(i32.and (i32.eq ${get('from')} ${get('inputEnd')}) (i64.eqz ${get('code')}))`,
    i32(at.DECODED),
    i32(at.BAD_END),
  )})`;

/** Of whole words; the tables say what a byte does to the CRC that many bytes later. */
const CRC64 = `(func (export "crc64") (param $crc i64) (param $at i32) (param $end i32) (result i64)
  (block $words (loop $next
    (br_if $words ${below(subtract(get('end'), get('at')), i32(8))})
    ${set('crc', `(i64.xor ${get('crc')} (i64.load ${get('at')}))`)}
    ${set(
      'crc',
      Array.from({ length: 8 }, (_, i) => crcTable(7 - i, 8 * i)).reduce((sum, one) => `(i64.xor ${sum} ${one})`),
    )}
    ${set('at', add(get('at'), i32(8)))}
    (br $next)))
  (block $bytes (loop $next
    (br_if $bytes (i32.ge_u ${get('at')} ${get('end')}))
    ${set('crc', `(i64.xor ${get('crc')} (i64.load8_u ${get('at')}))`)}
    ${set('crc', `(i64.xor ${crcTable(0, 0)} (i64.shr_u ${get('crc')} ${i64(8)}))`)}
    ${set('at', add(get('at'), i32(1)))}
    (br $next)))
  ${get('crc')})`;

function crcTable(table, shift) {
  const byte = and(`(i32.wrap_i64 (i64.shr_u ${get('crc')} ${i64(shift)}))`, i32(255));
  return `(i64.load offset=${at.CRC64_AT + 2048 * table} ${times2(byte, 3)})`;
}

/** Of a distance of 1 .. 7 bytes: mask, factor that repeats them, whole repeats in a word. */
function repeats() {
  const bytes = Buffer.alloc(at.STRIDES_AT + 8 - at.REPEATS_AT);
  for (let distance = 1; distance < 8; distance++) {
    let factor = 0n;
    for (let bit = 0; bit < 64; bit += 8 * distance) factor |= 1n << BigInt(bit);
    bytes.writeBigUInt64LE((1n << BigInt(8 * distance)) - 1n, 16 * distance);
    bytes.writeBigUInt64LE(factor, 16 * distance + 8);
    bytes[at.STRIDES_AT - at.REPEATS_AT + distance] = 8 - (8 % distance);
  }
  return bytes.toString('hex').replace(/../g, '\\$&');
}

export const LZMA_KERNEL = `(module
  (memory (export "memory") ${Math.ceil(at.OUTPUT_AT / 65536)})
  (data ${i32(at.REPEATS_AT)} "${repeats()}")
  ${DECODE}
  ${CRC64})`;
