// Owns the places in the memory of the LZMA kernel, for bin/lzma-kernel.mjs that makes it and for lzma-kernel.ts that calls it.

/** What one chunk leaves to the next: words. The distances are less one, newest first. */
export const STATE_AT = 16;
export const DISTANCES_AT = 20;
export const STATE_WORDS = 5;
/** From the properties: lc, 8 - lc, the masks of lp and pb: words. */
export const CONTEXT_BITS_AT = 36;
export const CONTEXT_SHIFT_AT = 40;
export const LITERAL_MASK_AT = 44;
export const POSITION_MASK_AT = 48;
/** Of each distance 1 .. 7: a mask of that many bytes, and the number that repeats them; then bytes a repeated word serves. */
export const REPEATS_AT = 64;
export const STRIDES_AT = REPEATS_AT + 8 * 16;

const STATES = 12;
const POSITION_STATES = 16;
const LITERAL_CODERS_MAX = 16; // lc + lp is 4 at most

/** Numbers of the adaptive probabilities, 16 bits each. */
export const PROBABILITIES_AT = 1024;
export const IS_MATCH = 0;
export const IS_REPEAT = IS_MATCH + STATES * POSITION_STATES;
export const IS_OLDER = IS_REPEAT + STATES; // not the last distance
export const IS_OLDER2 = IS_OLDER + STATES;
export const IS_OLDER3 = IS_OLDER2 + STATES;
export const IS_LONG = IS_OLDER3 + STATES; // the last distance, more than one byte
export const SLOT = IS_LONG + STATES * POSITION_STATES;
export const SPECIAL = SLOT + 4 * 64;
export const ALIGN = SPECIAL + 128;
export const LENGTH = ALIGN + 16;
/** A length has two choices, then 8 short and 8 middle a position state, then 256. */
export const LENGTH_SHORT = 2;
export const LENGTH_MIDDLE = LENGTH_SHORT + POSITION_STATES * 8;
export const LENGTH_LONG = LENGTH_MIDDLE + POSITION_STATES * 8;
export const REPEAT_LENGTH = LENGTH + LENGTH_LONG + 256;
export const LITERAL = REPEAT_LENGTH + LENGTH_LONG + 256;
export const PROBABILITIES = LITERAL + 0x300 * LITERAL_CODERS_MAX;

/** One chunk, and what its last symbol may read beyond it: 20 bytes by xz's count (src/liblzma/lzma/lzma_decoder.c). */
export const INPUT_AT = 32 * 1024;
export const INPUT_BYTES = 64 * 1024;
export const INPUT_SPARE = 32;
/** Eight tables of 256 for eight bytes at a time. */
export const CRC64_AT = INPUT_AT + INPUT_BYTES + 2 * INPUT_SPARE;
/** The whole of a block, which is the dictionary, and what copies by words may write beyond it. */
export const OUTPUT_AT = CRC64_AT + 8 * 256 * 8;
export const OUTPUT_SPARE = 16;

/** What `decode` says of a chunk. */
export const DECODED = 0;
export const NO_START = 1;
export const MATCH_OUTSIDE = 2;
export const TOO_SHORT = 3;
export const BAD_END = 4;
