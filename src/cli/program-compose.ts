// The options of join about declared joins, many datasets, sizes of files, and make.
import type { Option } from 'commander';
import { option } from './define.ts';
import { parseNonEmpty, parseRedirector, parseRows, parseSize } from './option-values.ts';

export const composeOptions = (): Option[] => [
  option('--compose <FILE>', 'sources and options from a YAML file; those of the command line win').argParser(
    parseNonEmpty,
  ),
  option('--fileset <FILE>', "one join a dataset of this JSON in coffea's form, to DIR/DATASET/").argParser(
    parseNonEmpty,
  ),
  option(
    '--redirector <URL>',
    'server in front of /store/... names; several (commas, or given again) are tried in turn',
  ).argParser(parseRedirector),
];

export const duplicatesOption = (): Option =>
  option(
    '--duplicates <POLICY>',
    'events that several primary datasets have: stop, or take each from the first (LABEL: FILES... LABEL: FILES...)',
  )
    .choices(['error', 'first-by-source'])
    .default('error');

export const sizeOptions = (): Option[] => [
  option('--events-per-file <N>', 'files of N events in DIR/, the last may have fewer').argParser(parseRows),
  option('--target-size <SIZE>', 'files of about SIZE before compression in DIR/').argParser(parseSize),
];

export const makeOptions = (): Option[] => [
  option('--redo', 'make an output again that is up to date'),
  option('--depfile <FILE>', 'write what the output was made from, for make').argParser(parseNonEmpty),
];
