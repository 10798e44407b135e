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
const reordered = { label: 'ro', files: [fixture('friend_reordered.root')] };
const rntuple = { label: 'nt', files: [fixture('friend_rntuple.root')] };
const arrow = { label: 'aw', files: [fixture('friend.arrows')] };
const twin = { label: 'tw', files: [fixture('rntuple_nano_1.root')] };
const partials = ['p1', 'p2'].map((label) => ({ label, files: [FRIENDS.par] }));
const SKIM = 'nJet >= 2 and MET_pt > 25';

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
  { name: 'partial friends of several labels', options: { friends: [...partials, i64] } },
  { name: 'outer of partial friends', options: { how: 'outer', friends: [partials[0]!, i64] } },
  { name: 'right of a Parquet friend', options: { how: 'right', friends: [i64] } },
  { name: 'RNTuple', options: { primary: [fixture('rntuple_nano_1.root')], friends: [rntuple, up] } },
  { name: 'RNTuple, outer', options: { how: 'outer', friends: [rntuple, par] } },
  { name: 'Parquet primary', options: { primary: i64.files, friends: [up, arrow] } },
  { name: 'Arrow friend', options: { friends: [arrow, dn] } },
  { name: 'witnessed', options: { friends: [twin, up] } },
  { name: 'witnessed, outer', options: { how: 'outer', friends: [twin], witness: 'auto,MET_pt~1e-3' } },
  { name: 'skim', options: { where: SKIM, friends: [par, up] } },
  { name: 'skim, inner', options: { where: SKIM, how: 'inner', friends: [par] } },
  { name: 'skim, outer', options: { where: SKIM, how: 'outer', friends: [par] } },
  { name: 'skim, right', options: { where: SKIM, how: 'right', friends: [par] } },
  { name: 'skim, no friend', options: { where: SKIM, friends: [] } },
  { name: 'stored once', options: { dedup: true, friends: [regrouped, reordered, up, dn] } },
  { name: 'stored once, partial', options: { dedup: true, friends: [...partials, up] } },
  { name: 'stored once, skim', options: { dedup: true, where: SKIM, friends: [aligned, rntuple] } },
  { name: 'row map', options: { mapOnly: true, friends: [par, regrouped] } },
  { name: 'row map, outer', options: { mapOnly: true, how: 'outer', friends: [par, i64] } },
  { name: 'row map of a skim', options: { mapOnly: true, where: SKIM, friends: [par, up] } },
];

/** Any of them with other columns, friends and compression. */
export function randomJoin(random: Random): Partial<JoinOptions> {
  const { options } = random.pick(BASES);
  if (options.primary !== undefined || options.witness !== undefined)
    return { ...options, compression: random.pick(['zstd', 'snappy', 'none']) };
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
  return {
    ...options,
    friends,
    columns: options.mapOnly === true ? [] : kept,
    compression: random.pick(['zstd', 'snappy', 'none']),
  };
}
