// Small text functions shared by messages: nearest names, natural order, sizes and counts, names of files.
import { basename } from 'node:path';

/** The up to `count` names nearest to `name` by edit distance, nearest first, none that has little in common. */
export function nearestNames(name: string, names: Iterable<string>, count = 3): string[] {
  const scored = [...names].map((other) => ({
    other,
    distance: editDistance(name.toLowerCase(), other.toLowerCase()),
  }));
  const limit = Math.max(2, Math.ceil(name.length / 2));
  return scored
    .filter(({ distance }) => distance <= limit)
    .sort((left, right) => left.distance - right.distance || (left.other < right.other ? -1 : 1))
    .slice(0, count)
    .map(({ other }) => other);
}

function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const change = left[i - 1] === right[j - 1] ? 0 : 1;
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + change));
    }
    previous = row;
  }
  return previous[right.length]!;
}

/** file_2 before file_10, and the same in every locale. */
export function naturalCompare(left: string, right: string): number {
  const parts = (text: string) => text.split(/(\d+)/);
  const a = parts(left);
  const b = parts(right);
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] === b[i]) continue;
    if (i % 2 === 1) {
      const difference = BigInt(a[i]!) - BigInt(b[i]!);
      if (difference !== 0n) return difference < 0n ? -1 : 1;
    }
    return a[i]! < b[i]! ? -1 : 1;
  }
  return a.length - b.length;
}

/** 1,234,567 */
export function formatCount(count: number | bigint): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** 79.6 MB (powers of 1000, as `ls --si` and the grid count). */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** The last name of a path or URL, without what follows a `?`: the same file has it wherever it is. */
export function fileName(uri: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(uri)) return basename(uri);
  const last = basename(uri.replace(/[?#].*$/s, ''));
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
