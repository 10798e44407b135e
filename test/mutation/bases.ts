// Owns the joins whose outputs are corrupted, and random ones that are left alone.
import type { JoinOptions } from '../../src/command/types.ts';
import { FRIENDS, fixture } from './harness.ts';
import type { Random } from './random.ts';

const par = { label: 'par', files: [FRIENDS.par] };
const up = { label: 'up', files: [FRIENDS.up] };
const dn = { label: 'dn', files: [FRIENDS.dn] };
const regrouped = { label: 're', files: ['friend_regrouped_1.root', 'friend_regrouped_2.root'].map(fixture) };
const aligned = { label: 'al', files: [1, 2, 3].map((i) => fixture(`friend_aligned_${i}.root`)) };
const i64 = { label: 'pq', files: [fixture('friend_i64.parquet')] };

export interface Base {
  readonly name: string;
  readonly options: Partial<JoinOptions>;
}

/** Every kind of join, path, policy and layout. */
export const BASES: readonly Base[] = [
  { name: 'left', options: {} },
  { name: 'inner', options: { how: 'inner' } },
  { name: 'outer', options: { how: 'outer', friends: [par] } },
  { name: 'outer of three', options: { how: 'outer' } },
  { name: 'right', options: { how: 'right', friends: [par] } },
  { name: 'nano, filled', options: { layout: 'nano', missing: { kind: 'fill', value: '0' }, friends: [par, up] } },
  { name: 'nano, dropped', options: { layout: 'nano', missing: { kind: 'drop' }, friends: [par] } },
  { name: 'nulls without flags', options: { missing: { kind: 'null' }, friends: [par, i64] } },
  { name: 'no friend', options: { friends: [] } },
  { name: 'aligned and regrouped', options: { friends: [aligned, regrouped] } },
  { name: 'snappy', options: { friends: [par, up], compression: 'snappy' } },
  { name: 'Parquet with nulls of its own', options: { friends: [i64, up, dn] } },
];

/** Any of them with other columns, friends and compression. */
export function randomJoin(random: Random): Partial<JoinOptions> {
  const { options } = random.pick(BASES);
  const some = options.layout === 'nano' ? [par, up, dn, regrouped, aligned] : [par, up, dn, regrouped, aligned, i64]; // nano has no nulls
  const friends = options.how === 'right' ? [random.pick([par, up])] : random.shuffled(some).slice(0, random.below(4));
  const columns = random.pick([
    [],
    ['MET_*', 'Jet_*', '*_up', '*_par'],
    ['!GenPart_*', '!odd_*'],
    ['*odd*', 'x', 'note'],
  ]);
  const kept = columns.filter(
    (glob) => !/_(up|par)$/.test(glob) || friends.some(({ label }) => glob.endsWith(`_${label}`)),
  );
  return { ...options, friends, columns: kept, compression: random.pick(['zstd', 'snappy', 'none']) };
}
