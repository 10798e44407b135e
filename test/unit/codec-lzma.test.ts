// xz streams: sizes by the stream's own index before anything is unpacked, checks, and what other encoders make.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { decompressXz } from '../../src/codec/lzma.ts';
import { decodeLzma2 } from '../../src/codec/lzma2.ts';
import { ColweaveError } from '../../src/core/errors.ts';

// python: lzma.compress(b"colweave " * 40)
const packed = Buffer.from(
  'fd377a585a000004e6d6b4460200210116000000742fe5a3e0016700125d00319bc9cf3ec5772bd9864f621b24dcc0000000' +
    '0000580bd08d3b095a4400012ee8020000000ef45e4cb1c467fb020000000004595a',
  'hex',
);
const text = 'colweave '.repeat(40);

/** Partly regular bytes: literals, matches, repeated distances. */
const patterns = Uint8Array.from({ length: 900 }, (_, i) => (i % 64 < 40 ? i * i * 7 + (i >> 3) : 65 + (i % 3)));

// python: lzma.compress(patterns, check=..., filters=[{id: FILTER_LZMA2, preset: 6, lc, lp, pb}]); xz --block-size=300
const made: readonly (readonly [name: string, bytes: number, hex: string])[] = [
  [
    'patterns, SHA-256, lc 1, lp 2, pb 0',
    400,
    'fd377a585a00000ae1fb0ca10200210116000000742fe5a3e0018f011e13000001d1cd908d2bcb3b66f1b65a48398dcb327561e81fea4a' +
      '0e2f8987de278d105bb86dd4f01a481385a6379d21a98a26e0fd997571162576f14e53cac173bafb2694fca63805af834425de7e94cbe0' +
      'efb47224a1e18747789e47704f7a61b6ccbbe98cd1f858ccf496b31cd318f4c08c9ca5f5ce0bd191c7ea7cf0077b6f67bf6f44bd649bec' +
      'bd4e7a249b9b9005ae732183f1460a804dd8951b6823dac6690f338105856641207b8e5b5bc7fa2950d53fd923a236bff938e3186a4594' +
      'cf34b58e2b8c4c29ebc3ccf1bff4a7d88902e02d2a95eb6e53cd576d94484cc47d0eea12c2fe8cba4c013748992f8a92c5fc5c7351d537' +
      'e56ea1301966fdb2e3029fd50132efae8be86c4bba8032b69959fa17eab07885f975629e4bb824167100000000ba8ebdbb9562edab707f' +
      '250ce6db1c3af2405fd4b9a895714413ca2f0a105ccb0001d2029003000064656559b6e9df1c02000000000a595a',
  ],
  [
    'patterns, no check, lc 0, lp 4, pb 4',
    400,
    'fd377a585a000000ff12d9410200210116000000742fe5a3e0018f012bd8000001c37ce572efed5f7f30956ca8f662902518eff2ecb32a' +
      '8fccf32cc800ee0ae053388465cf745a2a6176a9bb75ebaa19920934920fba56520b3777752a364a5bdaf3bf18f8909b9bae090d857ce9' +
      'd5672101b00d181c7ae91f3c3dc4ce779f8107de0f9b2695bae0e821aff6ff4b0bb1253315ce6f1aa3d22d7bde84cafba7a052af04a4da' +
      'ba945b95da59c0813ae5474e76ee2cb98e36369e1c81601dcdeeee5456ddd45616afdde0acf3a0fa7dccd5e7a7aa2386eae088eef431ab' +
      '4b656a1b2fcbc3918f1b9c96e2ad28c12c078ea94b3c3b21f6575115022cb11c672afa1f076bedf4b0bbff105104d5f4eac011aed0ffb0' +
      'fc7e3ce8a9ad91f39055dd481cd26280cab1220bb269fd30b8f387beb70e18c4b4b42280094218de01eb1c787ec01ac0fd3bf451ebd9fd' +
      '00000001bf0290030000e0790feda8000afc020000000000595a',
  ],
  [
    'patterns, CRC-32, as ROOT',
    900,
    'fd377a585a0000016922de360200210116000000742fe5a3e00383026f5d0000021197c6e55fb28742ba8d1293c89fb0dd122dc5ed6354' +
      '07c916e0f4c30d7606d490686d5a90468bc768ece6adebd7054959c4543fc9c4ff9d392f63735ecd89a37d4012b1fe54fb283637e49a4f' +
      'e48abbc212d28ce7ad7a2522186b5ce0a1aa19e9d2e4998416a5bd50400cc0d0cb48ac050e6e3908e2259582110d594d23380a1bb9febc' +
      '6bbfceec2b9c84cd66ac70444fbc4318159989a73b73131053f2a3ed10af15101f07185398c3ef444faac78d8608ecb1c4e8853487422c' +
      '4eaf8151bc0493e6b1844764bf244e46f06c05eeac777ccb405afae7a4cc5c1fbf777fbb634d82e691be5117d2ae705d7b20671c0e390c' +
      '2a47ec590ae140787fee82465f7293f72daf999d560cd318d57f2aec8a6d644b70e6b9f0c456c0f44f9c778dc4caf445277349c527d3d1' +
      '4a65d6441d986241804e69a16bb6f014ed969a6f58f74d6684dfc3f03d2edb94d19d210d805767ba02c343578e485ec415c49fc39bb1c6' +
      'e0acc486a9c8dc0f771ea6eb9c8eae9a3208c107b4ef4e21d13917190cf510113d217e493a3d44feccce77c817a37688ecf98d39329728' +
      'e4fd512319686fa68e362cb02c7d6f5728941bd16f75d1df6e1fa399063defc174084ebda3391e5fba64b300aca1b3203b35336e10a05f' +
      '974552ba84ec1656e5d0a80720aecd81727a90962dff76a38f27ea4e51acb61618d39d45c7bbd2ff0c285f6f3be86c165efe2f0c759f23' +
      '0bede8214ec175a2e1a2c6fe75d0ccace9adb3cff09ef376c85f6be5a841e7e13fc4bf375204df6163511a8c87837ad489e853dd728f79' +
      '8a7b964e0ef88526d0389230b4cf4cd5fada2fbf5ddf20560f4e811278e688c9d5667f19c03787f3f906ecb7f5150a8f6b0000a3f23374' +
      '00018705840700002448746f3e300d8b020000000001595a',
  ],
  [
    'several blocks',
    900,
    'fd377a585a0000016922de360200210116000000742fe5a3e0012b00e75d0000021197c6e55fb28742ba8d1293c89fb0dd122dc5ed6354' +
      '07c916e0f4c30d7606d490686d5a90468bc768ece6adebd7054959c4543fc9c4ff9d392f63735ecd89a37d4012b1fe54fb283637e49a4f' +
      'e48abbc212d28ce7ad7a2522186b5ce0a1aa19e9d2e4998416a5bd50400cc0d0cb48ac050e6e3908e2259582110d594d23380a1bb9febc' +
      '6bbfceec2b9c84cd66ac70444fbc4318159989a73b73131053f2a3ed10af15101f07185398c3ef444faac78d8608ecb1c4e8853487422c' +
      '4eaf8151bc0493e6b1844764bf244e46f06c05eeac777ccb405afae7a4cc5c1fbf777fbb634d616638000000f6f2c80102002101160000' +
      '00742fe5a3e0012b00d65d002090848ba3ec0c7b817c16d690f6f113efde673de6bc6f8e61369cef7785bc974bbbc0c3e554a08c8808c7' +
      '9eb12c55e4aab070a9b9f5bec71e4a560f30967425aa2cf4ac5c1784747abf0c019ed05721d128157c4af594c39385b6e4fe734ad8614c' +
      'f8ae68c2fe22978c231c30a96a176123261675ca6151f111097f6177debc6397b203fc3bd76ddd558249903b469a4570d381918c527672' +
      '18371a28327ed48df33a1632facd615db295ad161c82d5140ec83224dc00bad02f5203da5baeb5876d9d5f94720a7818559c233047356d' +
      'ac05ba9ac00000000082b789ca0200210116000000742fe5a3e0012b00d35d0005b8d02448d9cc8e65692caee6ae418802a6439d86ec04' +
      '9c8aefb87b9d625cce58de0c584395f9555cf4f649cde1470c2e8c0e3b928aa9c33bc076ee0574d35ca295e34da6465bad66a7f9681fd6' +
      'f27a89163544fbf51498b0719cd27d14d09ab3453794e81775067ec68901a5285db27d8df481d102ce4497465651e30582ebe542bf2ee7' +
      'e6ef5cb91411ab1e975428b1fb21126d9e7b3cce50cd9e987d55c9fa4586a454c4d208589f554b1458b3f59b8070571a41a747498c5c95' +
      '605e8f178b28d12b7201188abb0cdfb39fa7268e145d000000733da5d70003ff01ac02ee01ac02eb01ac020000e92abf2b23d3545d0400' +
      '00000001595a',
  ],
];

/** Matches at the distances 1 .. 17, with bytes of their own between them. */
function makeRepeats(): Uint8Array {
  const bytes = Array.from({ length: 20 }, (_, i) => i + 1);
  for (let distance = 1; distance < 18; distance++) {
    for (let i = 0; i < 2 + ((distance * 29) % 61); i++) bytes.push(bytes[bytes.length - distance]!);
    bytes.push((distance * 37) & 255);
  }
  return Uint8Array.from(bytes);
}
const repeats = makeRepeats();
// python: lzma.compress(repeats, format=FORMAT_RAW, filters=[{id: FILTER_LZMA2, preset: 6}])
const packedRepeats = Buffer.from(
  'e0025b004d5d0000809d61d30d5dae193edb84281d34295dea233e9298fc74a1d65edb66114dcaddc80c6c72aa51bfebf2696b09f92f1f2d4e' +
    '64e4f0c32dcb11017874dacbada75c817fb13ad11d9ec10426400000',
  'hex',
);
// python: lzma.compress(bytes(300000), check=CHECK_CRC32)
const packedZeros = Buffer.from(
  'fd377a585a0000016922de360200210116000000742fe5a3e493df006f5d00006ffdffffa3b7ff473e481572396151b89228e6a38607f9eee4' +
    '1e82d32fc53a3c014bb17ec98a8a4d2fa30dd97fa6e38c231153e05918c5758ae277f8b6947f0c6ac0de744964e2e95c53b204d8f7440cab' +
    '5f0d6d46e9e5c37688b79657acb64de1691d6ffb4b88106c358c40c1000000fbe2b2f600018701e0a7120003a33c8f3e300d8b0200000000' +
    '01595a',
  'hex',
);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof ColweaveError ? error.code : String(error);
  }
  return 'no error';
}

describe('xz', () => {
  it('gives back what was packed', () => {
    expect(Buffer.from(decompressXz(packed, text.length)).toString()).toBe(text);
  });

  it.each(made)('gives back %s', (_, bytes, hex) => {
    expect(decompressXz(Buffer.from(hex, 'hex'), bytes)).toEqual(patterns.slice(0, bytes));
  });

  it('gives back all kinds of symbols', () => {
    // python: rows of floats and integers, then matches of 2 to 300 bytes at distances up to 18,000; preset 9 extreme, CRC-64
    const plain = decompressXz(readFileSync(new URL('lzma-mixed.xz', import.meta.url)), 20_000);
    const digest = createHash('sha256').update(plain).digest('hex');
    expect(digest).toBe('a70a8b9749f68927c6b869d4a6b2dfdb107c2c772599e3bf0534092f256b826e');
  });

  it('repeats what is nearer than a word', () => {
    const target = new Uint8Array(repeats.length);
    const source = Buffer.concat([packedRepeats, Buffer.alloc(8)]);
    expect(decodeLzma2(source, 0, target)).toBe(packedRepeats.length);
    expect(target).toEqual(repeats);
  });

  it('counts positions from where the dictionary is reset', () => {
    const size = repeats.length;
    const chunk = packedRepeats.subarray(0, -1);
    const target = new Uint8Array(2 * size);
    const twice = Buffer.concat([chunk, chunk, Buffer.alloc(8)]);
    decodeLzma2(twice, 0, target);
    expect([target.slice(0, size), target.slice(size)]).toEqual([repeats, repeats]);
    const withoutReset = Buffer.concat([chunk, chunk.with(0, 0x80), Buffer.alloc(8)]);
    expect(codeOf(() => decodeLzma2(withoutReset, 0, target))).toBe('source/damaged');
  });

  it('makes room for a block, and still has it right when small ones follow', () => {
    expect(decompressXz(packedZeros, 300_000).every((byte) => byte === 0)).toBe(true);
    expect(Buffer.from(decompressXz(packed, text.length)).toString()).toBe(text);
  });

  it('gives back chunks that are stored as they are', () => {
    const noise = Uint8Array.from({ length: 40 }, (_, i) => Math.imul(i, 2654435761) >> 13);
    const chunks = Uint8Array.of(1, 0, 29, ...noise.subarray(0, 30), 2, 0, 9, ...noise.subarray(30), 0);
    const target = new Uint8Array(40);
    expect(decodeLzma2(chunks, 0, target)).toBe(chunks.length);
    expect(target).toEqual(noise);
    expect(codeOf(() => decodeLzma2(chunks.with(0, 2), 0, target))).toBe('source/damaged');
    expect(codeOf(() => decodeLzma2(chunks.with(33, 3), 0, target))).toBe('source/damaged');
    expect(codeOf(() => decodeLzma2(chunks, 0, new Uint8Array(41)))).toBe('source/damaged');
  });

  it.each([0, text.length - 1, text.length + 1])('refuses %d bytes before unpacking', (size) => {
    expect(codeOf(() => decompressXz(packed, size))).toBe('source/damaged');
  });

  it.each(made)('refuses what is cut anywhere: %s', (_, bytes, hex) => {
    const whole = Buffer.from(hex, 'hex');
    const codes = Array.from(whole, (_, end) => codeOf(() => decompressXz(whole.subarray(0, end), bytes)));
    expect(new Set(codes)).toEqual(new Set(['source/damaged']));
  });

  it('refuses bare LZMA2 that is cut anywhere, whatever was decoded before', () => {
    const target = new Uint8Array(repeats.length);
    for (let end = 0; end < packedRepeats.length; end++) {
      expect(codeOf(() => decodeLzma2(packedRepeats.subarray(0, end), 0, target))).toBe('source/damaged');
    }
  });

  it.each(made)('ends in a refusal or the right bytes when a byte is another: %s', (name, bytes, hex) => {
    const whole = Buffer.from(hex, 'hex');
    const plain = patterns.slice(0, bytes);
    for (let at = 0; at < whole.length; at++) {
      for (const change of [1 << (at & 7), 0xff, 0x55]) {
        const flipped = Buffer.from(whole);
        flipped[at]! ^= change;
        try {
          const got = decompressXz(flipped, bytes);
          if (!name.includes('no check')) expect(Buffer.compare(got, plain)).toBe(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'source/damaged' });
        }
      }
    }
  });

  it('refuses every flipped byte, or it is one that says nothing of the data', () => {
    let refused = 0;
    for (let at = 0; at < packed.length; at++) {
      const flipped = Buffer.from(packed);
      flipped[at]! ^= 0x55;
      try {
        expect(Buffer.from(decompressXz(flipped, text.length)).toString()).toBe(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'source/damaged' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(packed.length * 0.9);
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it('says what to do where the system gives no address space for the kernel', async () => {
    const Instance = function none() {
      throw new RangeError('WebAssembly.Instance(): Out of memory');
    };
    vi.stubGlobal('WebAssembly', { Module: Object, Instance });
    vi.resetModules();
    const fresh = await import('../../src/codec/lzma.ts');
    expect(() => fresh.decompressXz(packed, text.length)).toThrow(
      expect.objectContaining({ code: 'memory/not-enough', hint: expect.stringContaining('ulimit -v') }),
    );
  });
});
