// Reads the values of options: sizes, counts, lists and policies. A bad one becomes a usage error with the option's name.
import { InvalidArgumentError } from 'commander';
import { normalRedirector } from '../bytes/remote.ts';
import type { Missing } from '../command/types.ts';

const POWERS = ['', 'k', 'm', 'g', 't'];

/** `512M`, `2G`, `1.5GiB` count by 1024; `MB`, `GB` by 1000: as du and dd do. */
export function parseSize(text: string): number {
  const [, digits, letter, suffix] = /^(\d+(?:\.\d+)?)([kmgt]?)(i?b)?$/i.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('A size is a number with k, M, G or T, such as 2G.');
  const base = suffix?.toLowerCase() === 'b' ? 1000 : 1024;
  const bytes = Math.floor(Number(digits) * base ** POWERS.indexOf(letter!.toLowerCase()));
  if (bytes < 1 || !Number.isSafeInteger(bytes)) throw new InvalidArgumentError('That is no size to work with.');
  return bytes;
}

const AGES_MS: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

/** `12h`, `30d`, `8w` as milliseconds. */
export function parseAge(text: string): number {
  const [, digits, unit] = /^(\d{1,5})([hdw])$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('An age is a number with h, d or w, such as 30d.');
  return Number(digits) * AGES_MS[unit!]!;
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('A whole number from 1 to 9999 is wanted.');
  return Number(text);
}

/** Comma separated and repeatable; a comma inside {braces} belongs to the glob. */
export function collectGlobs(text: string, before: readonly string[] = []): string[] {
  const globs = text
    .split(/,(?![^{}]*\})/)
    .map((glob) => glob.trim())
    .filter((glob) => glob !== '' && glob !== '!');
  if (globs.length === 0) throw new InvalidArgumentError('It names no column.');
  return [...before, ...globs];
}

/** Given again: all must hold. */
export function collectWhere(text: string, before?: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return before === undefined ? text : `(${before}) and (${text})`;
}

/** OLD=NEW, repeatable. */
export function collectRenames(text: string, before: readonly (readonly [string, string])[] = []) {
  const [, old, renamed] = /^([^=]+)=(\w+)$/.exec(text) ?? [];
  if (old === undefined || renamed === undefined)
    throw new InvalidArgumentError('It must be OLD=NEW, NEW of letters, digits and _.');
  return [...before, [old, renamed] as const];
}

export function parseMissing(text: string): Missing {
  if (text === 'reason' || text === 'null' || text === 'drop') return { kind: text };
  if (/^fill=./.test(text)) return { kind: 'fill', value: text.slice('fill='.length) };
  throw new InvalidArgumentError('Allowed are reason, null, drop, fill=V.');
}

export function parseNonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** Comma separated and repeatable. */
export function collectNames(text: string, before: readonly string[] = []): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw new InvalidArgumentError('It names nothing.');
  return [...before, ...names];
}

export function parseInteger(text: string): number {
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('A whole number is wanted.');
  return value;
}

export function parseRows(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('A whole number from 1 to 9999999999 is wanted.');
  return Number(text);
}

/** One or several, joined by commas; given again it adds to those before. */
export function parseRedirector(text: string, before: string | undefined): string {
  const redirectors = text.split(',').map(normalRedirector);
  if (redirectors.includes(undefined)) {
    throw new InvalidArgumentError('A server is wanted, such as root://HOST or HOST:1094.');
  }
  return [...(before === undefined ? [] : [before]), ...redirectors].join(',');
}
