// Owns the list of peers: what each does, which packages and which form of the data it needs. One entry a peer.
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import { type FoundPython, scriptOf } from './python.ts';
import type { Skip } from './types.ts';

export interface Peer {
  readonly name: string;
  readonly does: string;
  readonly script: string;
  readonly packages: readonly string[];
  /** Reads Parquet copies, which somebody has to make first. */
  readonly fromCopies: boolean;
}

export const PEERS: readonly Peer[] = [
  {
    name: 'uproot+awkward',
    does: 'hand-written: read, sort, search, take, write',
    script: 'join_uproot_awkward.py',
    packages: ['uproot', 'awkward', 'pyarrow'],
    fromCopies: false,
  },
  {
    name: 'duckdb',
    does: 'SQL on ready Parquet copies, any row order',
    script: 'join_duckdb.py',
    packages: ['duckdb'],
    fromCopies: true,
  },
  {
    name: 'polars',
    does: 'lazy join of ready Parquet copies',
    script: 'join_polars.py',
    packages: ['polars'],
    fromCopies: true,
  },
  {
    name: 'pyarrow',
    does: 'join of keys and take, from ready Parquet copies',
    script: 'join_pyarrow.py',
    packages: ['pyarrow'],
    fromCopies: true,
  },
];

export const CONVERSION = {
  name: 'conversion',
  does: 'ROOT to Parquet by uproot, as the peers below need it',
  script: 'convert.py',
  packages: ['uproot', 'awkward', 'pyarrow'],
} as const;

export interface ChosenPeers {
  readonly peers: readonly Peer[];
  /** Absent peers, each with its reason. */
  readonly skips: readonly Skip[];
}

/** All that can run, or of those named. Errors: usage/bad-option. */
export function choosePeers(names: readonly string[] | undefined, top: string, python: FoundPython): ChosenPeers {
  const known = PEERS.map(({ name }) => name);
  const wanted = names?.filter((name) => name !== 'none') ?? known;
  const strange = wanted.find((name) => !known.includes(name));
  if (strange !== undefined) {
    throw new ColweaveError('usage/bad-option', `there is no peer "${strange}"`, {
      near: nearestNames(strange, known),
      hint: `the peers are ${known.join(', ')}; none runs colweave alone`,
    });
  }
  const skips: Skip[] = [];
  const peers = PEERS.filter((peer) => {
    if (!wanted.includes(peer.name)) return false;
    const reason = whyNot(peer, top, python);
    if (reason !== undefined) skips.push({ name: peer.name, reason });
    return reason === undefined;
  });
  return { peers, skips };
}

/** Why a script of test/bench cannot run, if so. */
export function whyNot(
  { script, packages, fromCopies }: Pick<Peer, 'script' | 'packages'> & { readonly fromCopies?: boolean },
  top: string,
  python: FoundPython,
): string | undefined {
  if (scriptOf(top, script) === undefined) return 'its script is part of a checkout, not of the package';
  if ('absent' in python) return python.absent;
  const needed = fromCopies ? [...packages, ...CONVERSION.packages] : packages;
  const absent = needed.filter((name) => python.packages[name] === undefined);
  return absent.length === 0 ? undefined : `not installed: ${[...new Set(absent)].join(', ')}`;
}
