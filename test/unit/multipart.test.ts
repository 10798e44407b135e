// The parts of a multipart answer: the same bytes in the same places, wherever the network cuts it.
import { expect, test } from 'vitest';
import { BadAnswer, readParts } from '../../src/bytes/multipart.ts';
import { replyTo } from './fake-http.ts';

const FILE = Buffer.from(Uint8Array.from({ length: 1000 }, (_, i) => (i * 2654435761) >>> 13));
const RANGES = [
  [3, 40],
  [100, 100],
  [600, 999],
] as const;

const { body } = replyTo(
  {
    method: 'GET',
    path: '/',
    headers: new Map([['Range', `bytes=${RANGES.map((range) => range.join('-')).join(',')}`]]),
    index: 0,
  },
  { bytes: FILE },
);

function readCut(bytes: Buffer, cuts: readonly number[]): Buffer {
  const got = Buffer.alloc(FILE.length);
  const parts = readParts(
    '123456',
    () => {},
    (offset, part) => got.set(part, offset),
  );
  [0, ...cuts].forEach((from, i) => {
    parts.take(bytes.subarray(from, cuts[i] ?? bytes.length));
  });
  parts.end();
  return got;
}

const right = Buffer.alloc(FILE.length);
for (const [from, last] of RANGES) right.set(FILE.subarray(from, last + 1), from);

test('cut in two anywhere, and byte by byte', () => {
  for (let cut = 0; cut <= body.length; cut++) expect(readCut(body, [cut]), `cut at ${cut}`).toEqual(right);
  expect(readCut(body, Array.from(body.keys()))).toEqual(right);
});

test('what is no answer is told so, wherever it is cut', () => {
  const other = Buffer.from(`\r\n--12345x${body.subarray(10).toString('latin1')}`, 'latin1');
  for (let cut = 0; cut <= 20; cut++) expect(() => readCut(other, [cut]), `cut at ${cut}`).toThrow(BadAnswer);
  for (let end = 0; end < body.length - 4; end++)
    expect(() => readCut(body.subarray(0, end), []), `ends at ${end}`).toThrow(BadAnswer);
});
