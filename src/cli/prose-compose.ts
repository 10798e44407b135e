// The prose of declared joins, datasets, sizes and make: sections of colweave-join(1).
import type { Example, Prose } from './prose.ts';

export const COMPOSE_SECTIONS: Prose['sections'] = [
  {
    title: 'LISTS AND SERVERS',
    paragraphs: [
      'A list has one word a line: a path, a pattern, a directory, FILE:TREE, or @LIST again. Blank lines are skipped; # starts a comment at the beginning of a line or behind a blank. A list that is empty or names itself, at whatever depth, is refused. - can be given once. Names in a list are relative to the current directory, wherever the list lies (those named in a compose file: to the folder of that file).',
      '--redirector root://HOST puts a server in front of names that begin with /store/, and of no others: /store/a.root is root://HOST//store/a.root. Of several servers, the first that gives a file is read. Inputs of join, verify and schema may be URLs of http, https, dav, davs, root and roots: see SERVERS in colweave-guide(7).',
    ],
  },
  {
    title: 'COMPOSE FILES',
    paragraphs: [
      'A compose file says in YAML what a command line says: keys are the long names of options, such as how: inner or columns: ["Jet_*", "!Jet_btag*"]; options without a value are true or false. primary: is a word or a list of words. sources: maps labels to words, or to {files, tree, columns}, where columns are globs over the own names of that source; a list of such entries may leave labels out, or give them by label:. primary-datasets: maps names to words (see PRIMARY DATASETS).',
      'The key, how, the policies and the layout are those of the whole join: on: or how: of one source is refused. A key that is not known is refused with its line and the nearest names (usage/bad-compose, exit 2).',
      'The command line wins: an option given there replaces that of the file, primary files given there replace primary:, and --with replaces all sources:. Relative names in the file, of inputs and of outputs, are relative to its folder, so that it means the same from wherever it is called. Nothing is interpolated: $ is a letter.',
    ],
  },
  {
    title: 'FILESETS',
    paragraphs: [
      "--fileset IN.json takes what coffea's Runner takes, {DATASET: {files: {PATH: TREE} or [PATHS], treename, metadata}}, or what its preprocess writes ({PATH: {object_path, steps, num_entries}}), gzipped or not. Each dataset is one join, of sample DATASET, into DIR/DATASET/ (a / in the name becomes __). Paths in it are relative to the current directory, as for coffea. Steps must cover all events of a file, since whole files are joined.",
      'With --fileset each --with takes one fileset too, with the same datasets; datasets that only it has are named in a note.',
      'All files of all datasets are opened and their columns compared before the first is joined. Then each dataset is joined and published by itself: duplicates, broken expectations or damaged data of one dataset are reported, the others are made all the same, and the exit status is that of the first failure. A second run makes what is left.',
      'DIR/fileset.json is written last, when all datasets are there: coffea\'s Runner(format="parquet") takes it as it is, with the metadata of IN.json (use --layout nano). Its paths begin with DIR as it was given. colweave verify DIR/*/ checks all of it.',
    ],
  },
  {
    title: 'PRIMARY DATASETS',
    paragraphs: [
      'Data taken by several triggers are in several primary datasets: the same event in each of them, with other trigger paths. Words LABEL: in front of the primary files name them, in the order that counts: colweave join SingleMuon: mu/*.root DoubleMuon: dimu/*.root --duplicates first-by-source. Each event is then taken from the first dataset that has it, whatever the others say of it; the report and the receipt count the events left out by pair of datasets.',
      'An event that is twice in one dataset stops the join all the same, and so does a file in two datasets, or an event that is twice in a friend.',
    ],
  },
  {
    title: 'FILES OF A DIRECTORY',
    paragraphs: [
      '-o DIR/ writes one file a primary file, INDEX-NAME.parquet. --events-per-file N cuts the output, in its order, into files of N events, part-INDEX.parquet; --target-size SIZE into files of as many events as have SIZE bytes before encoding and compression, by the metadata of the inputs and rounded down to whole row groups: on disk they are smaller. The last file has what is left. Rows that only a friend has (right, outer) are in _only_LABEL.parquet. The files of different datasets are never put together.',
      'DIR/_receipt.json names all files and is written last: where it is, the directory is complete. Files of a join that is replaced go when the new one is done; a Parquet file that no join named there is never touched, and stops the join. While files are published, DIR/_receipt.unfinished.json names them, so that the next run can clear away what a killed one left.',
    ],
  },
  {
    title: 'MAKE',
    paragraphs: [
      'An output that is there and is what this join would write is left alone: "up to date", exit 0. That is decided by the identities of all input files, the options and the version, as the receipt of the output states them, and by the footers of the output; time stamps and payload are not looked at. An output that is cut, edited, written by another program, or made from anything else is never up to date: it is refused (output/exists, exit 5), or replaced with -f. --redo makes again what is up to date. Arrow files are always made again.',
      'An output that is up to date but older than an input gets a new time stamp, so that make does not ask again.',
      '--depfile FILE writes a rule for make: the output (for a directory DIR/_receipt.json, with --fileset DIR/fileset.json) and all that was read for it: compose file, filesets, lists, data files. Each input is also a target without a rule, so that a file that was removed does not stop make. What a pattern might match later is not in it. Names with semicolons, parentheses, double quotes or line ends cannot be written.',
    ],
  },
];

export const COMPOSE_EXAMPLES: readonly Example[] = [
  {
    does: 'a join kept in a file, with another output',
    line: 'colweave join --compose compose.yaml -o other.parquet',
  },
  {
    does: 'all datasets of a fileset with their friends, for coffea',
    line: 'colweave join --fileset samples.json --with jes: friends.json --layout nano --missing drop -o nano/',
  },
  {
    does: 'two primary datasets, each event once, in files of 500,000 events',
    line: 'colweave join SingleMuon: mu/*.root DoubleMuon: dimu/*.root --duplicates first-by-source --events-per-file 500000 -o data/',
  },
  {
    does: 'in a Makefile: what was read goes to a depfile, what is up to date is left alone',
    line: 'colweave join @files.txt --with friend.root -f --depfile joined.parquet.d -o joined.parquet',
  },
];
