// The options of join about fewer events and fewer columns: selections, names, columns stored once, row maps.
import type { Option } from 'commander';
import type { JoinOptions } from '../command/types.ts';
import { given, option } from './define.ts';
import { collectNames, collectRenames, collectWhere, parseNonEmpty } from './option-values.ts';

export interface SkimValues {
  where?: string;
  dedup?: true;
  mapOnly?: true;
  name?: string;
  rename?: (readonly [string, string])[];
  ownCollections?: string[];
}

export const whereOption = (): Option =>
  option(
    '--where <EXPR>',
    "events of the primary to keep, such as 'nJet >= 2 and any(Jet_pt > 30)'; of several all must hold",
  ).argParser(collectWhere);

export const namingOptions = (): Option[] => [
  option('--name <PATTERN>', "names of a labelled source's columns (default: {name}_{label})").argParser(parseNonEmpty),
  option('--rename <OLD=NEW>', 'another name for an output column; may be repeated').argParser(collectRenames),
  option(
    '--own-collections <LABELS>',
    "lists of these sources are collections of their own, LABELJet_* with nLABELJet, not the primary's Jet",
  ).argParser(collectNames),
  option('--dedup', 'write columns once that are equal but for the label: they are read one time more to find out'),
];

export const mapOnlyOption = (): Option =>
  option('--map-only', 'instead of payload write where each source has an event: file and entry, a row map');

export function skimOf({
  where,
  name,
  rename,
  ownCollections,
  dedup,
  mapOnly,
}: SkimValues): Pick<JoinOptions, 'where' | 'naming' | 'dedup' | 'mapOnly'> {
  const naming = given({ pattern: name, renames: rename, ownCollections });
  return {
    ...given({ where, dedup, mapOnly }),
    ...(Object.keys(naming).length === 0 ? {} : { naming }),
  };
}
