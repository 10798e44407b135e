// What the values of options mean.
import { describe, expect, test } from 'vitest';
import { collectGlobs, parseCount, parseMissing, parseSize } from '../../src/cli/option-values.ts';

describe('sizes', () => {
  test.each([
    ['512', 512],
    ['64k', 65_536],
    ['64K', 65_536],
    ['512M', 536_870_912],
    ['2G', 2_147_483_648],
    ['1.5GiB', 1_610_612_736],
    ['2GB', 2_000_000_000],
    ['1kB', 1000],
    ['1T', 1_099_511_627_776],
  ])('%s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', 'G', '-1G', '0', '2 G', '2X', '1e9', '99999999T'])('%s is refused', (text) => {
    expect(() => parseSize(text)).toThrow();
  });
});

test('globs are comma separated and add up; a comma in braces stays', () => {
  expect(collectGlobs('Muon_*, !Muon_dz', ['Jet_pt'])).toEqual(['Jet_pt', 'Muon_*', '!Muon_dz']);
  expect(collectGlobs('Jet_{pt,eta},MET_pt')).toEqual(['Jet_{pt,eta}', 'MET_pt']);
  expect(() => collectGlobs(' , ')).toThrow();
});

test('policies for missing events', () => {
  expect(parseMissing('reason')).toEqual({ kind: 'reason' });
  expect(parseMissing('fill=-999')).toEqual({ kind: 'fill', value: '-999' });
  for (const text of ['fill', 'fill=', 'zero', '']) expect(() => parseMissing(text)).toThrow();
});

test('counts', () => {
  expect(parseCount('8')).toBe(8);
  for (const text of ['0', '-1', '1.5', '1e2', 'x', '10000']) expect(() => parseCount(text)).toThrow();
});
