// The prose of help and man pages: what each command is for, its examples, its exit statuses. Options are in program.ts.

import { COMPOSE_EXAMPLES, COMPOSE_SECTIONS } from './prose-compose.ts';

export interface Example {
  readonly does: string;
  readonly line: string;
}

export interface Prose {
  readonly summary: string;
  readonly paragraphs: readonly string[];
  /** Only in the man page. */
  readonly sections: readonly { readonly title: string; readonly paragraphs: readonly string[] }[];
  readonly examples: readonly Example[];
  readonly exits: readonly (readonly [status: number, meaning: string])[];
  readonly seeAlso: readonly string[];
}

export const INTERRUPTED: readonly [number, string] = [
  130,
  'interrupted (143 terminated, 129 hung up): nothing published',
];

export const COLWEAVE: Prose = {
  summary: 'join columns of the same events by event key, and prove that none was mixed',
  paragraphs: [
    'Columns of the same collision events live in many files, in different order, grouping and completeness. colweave puts them side by side by event key (run, lumi block, event), writes Parquet, and stores a receipt in it by which anybody can check that no value moved to another event.',
  ],
  sections: [
    {
      title: 'OUTPUT STREAMS',
      paragraphs: [
        'Standard output carries only data or the report, standard error progress and messages. Bars and colours appear only on a terminal, never with NO_COLOR set; elsewhere a line of progress is printed each 30 seconds. With --json every line is an object with a "type"; the last one is the summary or the error.',
        'A message is one line (command, code, what, where, the nearest names that do exist), then an indented hint. The codes are listed in colweave-errors(7).',
        'A reader of standard output that goes away is no error: the work is finished, and the exit status is 0.',
      ],
    },
  ],
  examples: [
    {
      does: 'three NanoAOD files and a friend, by run, luminosityBlock, event',
      line: 'colweave join nano_*.root --with friend.root -o joined.parquet',
    },
    {
      does: 'check what was written, against the sources too',
      line: 'colweave verify joined.parquet --against nano_*.root friend.root',
    },
  ],
  exits: [
    [0, 'done'],
    [1, 'the data say no: verify found something, or a join met duplicate events or a broken expectation'],
    [2, 'the command line is wrong'],
    [3, 'an input is missing, unreadable or not what it should be'],
    [4, 'a server wants a credential that is absent, expired or refused'],
    [5, 'the output exists already, cannot be written, or the disk is full'],
    [6, 'memory or scratch space would not suffice'],
    [70, 'a bug in colweave; nothing was published'],
    [75, 'a server is busy, unreachable, or replaced a file: try again'],
    INTERRUPTED,
  ],
  seeAlso: [
    'colweave-join(1)',
    'colweave-verify(1)',
    'colweave-schema(1)',
    'colweave-fetch(1)',
    'colweave-bench(1)',
    'colweave-errors(7)',
    'colweave-receipt(7)',
    'colweave-formats(7)',
    'colweave-guide(7)',
    'colweave-architecture(7)',
    'colweave-changes(7)',
  ],
};

export const JOIN: Prose = {
  summary: 'join columns of the same events from many files into Parquet',
  paragraphs: [
    "Puts the columns of any number of sources side by side by event key, in the order of the primary's events, and writes Parquet with a receipt. The keys of every row are compared; position alone is never trusted. Without --with it converts, with keys checked.",
    'FILES are paths, quoted globs (expanded here, naturally sorted), directories, FILE:TREE, @LIST (a file of such words) or - (such a list on standard input). ROOT TTrees and RNTuples, Parquet and Arrow can be read.',
  ],
  sections: [
    {
      title: 'SOURCES',
      paragraphs: [
        "Each --with is one source: it takes every word up to the next option, so unquoted globs mean what they look like. The primary's files come before the first --with (or behind --); a bare word anywhere else is refused. A first word that ends in a colon is the source's label.",
        "FILES:PATTERN, such as 'syst.root:*__1up' (quoted), stands for one source for each tree of the files that the pattern matches; its label is the tree's name, where what no column name may hold becomes _. Every file must have the same of these trees.",
        'Columns of a source with a label are called NAME_LABEL (Jet_pt_jesUp), always; columns of a source without a label keep their names, and a name that is taken already is an error (join/name-clash).',
        "--name changes the pattern of such names, {name}_{label}; --rename OLD=NEW changes one name of the output, after that. Lists of a friend go with the primary's collections, and their lengths are checked against its nJet in every event; --own-collections LABEL makes them collections of their own, LABELJet_* with a counter nLABELJet, of any length.",
        '--dedup is for variations of which most columns are equal: columns of several sources with the same name of their own and the same type are read and sealed before the join; those with equal seals, hence with the same values for the same events, are written once, under the name of the first. The report and the receipt say which they are, and verify --against compares them with every source that they stand for. A dry run does not look for them.',
        '--map-only writes no payload but where each source has each event: columns LABEL_file (counted from 0, as the files were given) and LABEL_entry, -1 where it has none. Such a row map applies the join inside coffea, awkward or RDataFrame: colweave-guide(7). Keys are proved and hard witnesses compared (see --witness) as for any other output.',
        'left keeps every primary event (what a friend tree does); inner those that all sources have; right those of the one friend; outer all, first in the order of the primary, then those that only the first friend has, and so on.',
      ],
    },
    {
      title: 'SELECTIONS',
      paragraphs: [
        '--where EXPR keeps some of the primary\'s events. It is evaluated before anything of a friend is read: the columns it names and the keys are read for all events, all else only where events are left, so that baskets without any are not decompressed. The report and the receipt state the cut flow: the events left after each term joined by "and" at the top, in order. Given more than once, all must hold.',
        'There are comparisons (< <= > >= == !=), + - * / % and unary minus, and or not (also && || !), parentheses, and, over lists, any() all() count() of conditions, sum() min() max() of numbers, len() or n() for the number of items; abs() of anything. Columns are those of the primary, key columns and trigger bits (bool) among them; a name that is no word stands between backquotes. Lists meet lists of their own collection, object by object, and single values meet every object: any(Jet_pt > 30 and abs(Jet_eta) < 2.4), any(Jet_pt > MET_pt).',
        'Integers are exact whatever their width: they neither wrap nor pass through floats, so that event == 9007199254740993 is what it says. Floats follow IEEE and numpy 2: f32 with f32 is f32, a number as written beside f32 is taken as f32 (as awkward does), / always gives a float, a comparison with NaN is false and != is true. A bool counts 0 or 1 in arithmetic. What follows % is a whole number; the result has its sign, as in Python. min() and max() of an empty list are missing.',
        'What is missing (a null in a Parquet file, a column that a file lacks) stays missing in every operation, except that false and missing is false, true or missing is true, as in SQL. An event is kept where the whole expression is true: not where it is missing.',
        "left and inner keep the selected events, less those that inner leaves out. right and outer do what they say with the selected events as the primary: an event that was cut but that a friend has is in the output like any other of the friend's alone, behind the primary's, with primary_missing = 4. --expect 1:1 asks that friends have every selected event. Witnesses are compared in the events that are left. --where does not go with --duplicates first-by-source, as the datasets may say different things of an event that they share. Whole-file sums such as those in Runs are not the business of a selection: it changes none of them.",
      ],
    },
    {
      title: 'MISSING EVENTS',
      paragraphs: [
        'An event that a source lacks is null there, never zero and never the neighbour. --missing reason adds a column LABEL_missing: 0 present, 1 no such event, 2 lumi block absent, 3 file unreadable, 4 filtered, 5 column absent in that file. --missing null leaves that column out, drop leaves such events out, fill=V writes V (empty lists for lists), which all columns must be able to hold.',
        'With --layout nano no null may be written, as NanoEventsFactory of coffea would misread it: the join stops unless --missing drop or fill=V says what to do.',
      ],
    },
    {
      title: 'TREES THAT GO ALONG',
      paragraphs: [
        '--carry Runs,LuminosityBlocks writes the rows of these trees of all primary files, unchanged and in their order, into OUT.Runs.parquet and so on (_Runs.parquet in a directory), with the name of the file in the column source_file. They are written before the output and published with it; the receipt has the digests of their row groups (spec.carried), and verify does not read them.',
        'Totals of Runs are metadata of the output, colweave.sums (JSON): genEventCount, genEventSumw and genEventSumw2 are added; *ScaleSumw, *PdfSumw and others whose title says that they were divided by genEventSumw, are averaged with it, and left out with the reason where files differ in their length. Names with an underscore behind (v5, v6) are the same. Each file of a directory has the sums of its own primary file, so that they can be added. Cuts and missing events never change them.',
        'A tree with CutBookkeepers of ATLAS is refused, since those sums cannot be read; --drop-unreadable carries it without them. Only the trees of the primary are carried.',
      ],
    },
    {
      title: 'WITNESSES AND SAMPLES',
      paragraphs: [
        'Equal keys are no proof in simulation, where every sample has run 1 and events from 1. Columns that two files of the same event must both hold (Generator_x1, GenMET_pt, Pileup_nTrueInt, bunchCrossing and others; renamed ones are found) are compared in every matched event: one that differs stops the join (join/witness-differs) with both values and places. Columns that versions and variations move (nJet, PV_npvs, MET) are counted and told, never fatal. The report says with what chance two random events of the primary would agree; above 0.001, or without such a column, a source is called not witnessed. --witness names columns, allows a relative difference (NAME~1e-3), adds to the known ones (auto,NAME) or turns it off.',
        'ATLAS simulation is joined on mcChannelNumber too where a side holds several; otherwise it must be the same on all sides, and where a side has none, --sample NAME must say that all are of one. Receipts of other samples stop the join. Files of one source whose weights (LHE*, PS*) have other titles or lengths stop it too: the same item would be another variation (--titles ignore).',
        'CMS files say where their events come from: MetaData has their processing history, Runs the sums of generator weights. Both are kept in the receipt. A friend whose events were made by another first step than those of the primary cannot hold the same ones and stops the join (join/sample-differs), unless --sample names the sample of all; what two tiers have in common, weights of another order, and a friend that was joined from other files of the same name are said.',
      ],
    },
    {
      title: 'SAFETY',
      paragraphs: [
        'An event that is twice in a source stops the join; the message says which files share such events, and whether their content is the same (they overlap) or not (they collide). The output is written beside its name and renamed after all checks; on failure or a signal nothing is left. Before that, the seals of every column as read and as written are compared.',
        'The same inputs, options and build give the same bytes, whatever -j and --memory are.',
      ],
    },
    {
      title: 'SCORES',
      paragraphs: [
        '--infer MODEL.yaml scores the joined rows while they are written: the model file (colweave-infer(1), MODEL FILES) names columns of the output, of whichever source, by their names there (so they must be written: see -c), and its outputs are written behind them. They are sealed like any column, and spec.infer of the receipt says which model and version made them. Servers are those of --server, of the model file, or of the site; --spot-check sends a part of the rows again, and stops the join where an answer differs. A score that cannot be had stops the join, and nothing is published; colweave infer with --resume, then a join with its output, is the way for what takes hours.',
      ],
    },
    {
      title: 'MANY JOBS',
      paragraphs: [
        'Every job reads the keys of all its sources. With --key-index DIR the keys of each input file are kept in that directory, 16 bytes an event, and later jobs with the same file take them from there. A key file is used only for the file that it was made from (size, identity, entries, stored size of the key columns), and the keys of every row whose columns are moved are read from the file all the same and compared (source/changed). Jobs may share the directory while they run; it may be deleted at any time.',
        'With --cache DIR, or $COLWEAVE_CACHE for files on servers, the columns of the sources are read through a cache that others share, and only those that are not there travel: CACHE in colweave-fetch(1).',
      ],
    },
    ...COMPOSE_SECTIONS,
  ],
  examples: [
    { does: 'a friend next to NanoAOD', line: 'colweave join nano_*.root --with friend.root -o joined.parquet' },
    {
      does: 'systematic variations under labels, only the events that all have',
      line: 'colweave join nano_*.root --with jesUp: up/*.root --with jesDown: down/*.root --how inner -o jes.parquet',
    },
    {
      does: 'a skim: selected events only, with their cut flow',
      line: "colweave join nano_*.root --with friend.root --where 'nMuon >= 2 and any(Jet_pt > 30)' -o skim.parquet",
    },
    {
      does: 'what would be done, without reading any payload',
      line: 'colweave join nano_*.root --with friend.root --dry-run',
    },
    {
      does: "some columns, laid out for coffea's NanoEventsFactory.from_parquet",
      line: "colweave join nano_*.root -c 'Jet_*,!Jet_btag*' --layout nano -o jets.parquet",
    },
    ...COMPOSE_EXAMPLES,
  ],
  exits: [
    [0, 'joined and published, or up to date (or, with --dry-run, planned)'],
    [1, 'the data say no: duplicate events, a broken expectation; nothing published'],
    [2, 'the command line or the compose file is wrong, or names a column that is not there'],
    [3, 'an input is missing, unreadable or not what it should be'],
    [4, 'a server wants a credential that is absent, expired or refused'],
    [5, 'the output exists and is not up to date, cannot be written, or the disk is full'],
    [6, 'memory or scratch space would not suffice'],
    [70, 'a bug in colweave; nothing published'],
    [75, 'a server is busy, unreachable, or replaced a file: try again'],
    INTERRUPTED,
  ],
  seeAlso: [
    'colweave(1)',
    'colweave-verify(1)',
    'colweave-guide(7)',
    'colweave-errors(7)',
    'colweave-receipt(7)',
    'colweave-formats(7)',
  ],
};

export const VERIFY: Prose = {
  summary: 'check that no event was mixed, lost or doubled in a joined file',
  paragraphs: [
    'Reads joined files again, with readers that share nothing with the writer, and compares every column with the receipt. With --against the source files are read again too, matched anew, and the first offending event is named.',
    'Each row group is decoded once, on -j threads, for the receipt and for --against alike; what is found, and in which words, is the same for any -j. Memory holds the columns at hand and the keys. With the receipt alone, keys beyond --memory pass through scratch, so that memory does not grow with the file; with --against the keys of the file and of its sources are in memory, and of a source whose rows lie all over it some columns at a time.',
    'A file that another tool rewrote with equal content is "rewritten": its columns still agree with the receipt, and that is no damage.',
    'Without any receipt it compares sets of events of files of any readable format: the same events, a subset, disjoint, inside a lumi mask.',
  ],
  sections: [
    {
      title: 'SETS OF EVENTS',
      paragraphs: [
        '--same-events, --subset-of and --disjoint take all OUT files as one set, and the files that follow as another. Keys are read, sorted in runs that fit into --memory (the rest passes through scratch), and merged; events that differ are counted, named by run and lumi block, and the first ones, by key, by file and entry. An event that is twice in a set is a finding too.',
        '--lumis reads a mask as CMS writes it, {"run": [[first, last], ...]}, such as a golden JSON: events outside are a finding, lumi blocks without events are said, with what is known of them: a LuminosityBlocks tree in the files, carried along with the join (--carry LuminosityBlocks) or in the sources (--against) lists those that were processed. --write-lumis writes the lumi blocks that have events or were processed without. Where the files have receipts, lumi blocks and events that their joins lost are told by run.',
        '--parts takes a directory that one join, or the jobs of a batch, wrote: each part is verified, all must have been joined with the same options, no primary file and no event may be there twice, and the parts of a left join that selects nothing must add up to every event of their primary files.',
      ],
    },
  ],
  examples: [
    { does: 'by the receipt inside', line: 'colweave verify joined.parquet' },
    {
      does: 'against the sources, trusting nothing that join said',
      line: 'colweave verify joined.parquet --against nano_*.root friend.root',
    },
    {
      does: 'does a friend have the events of these files, whatever its order and format?',
      line: 'colweave verify nano_*.root --same-events friend.parquet',
    },
    {
      does: 'events outside of the certified lumi blocks; and what was processed',
      line: 'colweave verify joined.parquet --lumis golden.json --write-lumis processed.json',
    },
    {
      does: 'a file rewritten by a tool that drops metadata',
      line: 'colweave verify rewritten.parquet --receipt joined.parquet.receipt.json',
    },
  ],
  exits: [
    [0, 'every file is verified, or rewritten with equal content'],
    [1, 'something is mixed, lost, doubled or damaged'],
    [2, 'the command line is wrong'],
    [3, 'an argument is absent, or there is nothing to compare with'],
    [4, 'a server wants a credential that is absent, expired or refused'],
    [6, 'memory or scratch space would not suffice'],
    [70, 'a bug in colweave'],
    [75, 'a server is busy, unreachable, or replaced a file: try again'],
    INTERRUPTED,
  ],
  seeAlso: ['colweave(1)', 'colweave-join(1)', 'colweave-receipt(7)', 'colweave-errors(7)'],
};

export const BENCH: Prose = {
  summary: 'measure the join beside its peers, and the floor under both',
  paragraphs: [
    'Runs colweave join and each installed peer (uproot with awkward, DuckDB, polars, pyarrow) on the same files, one after the other and round after round, each in a fresh process, and reports wall time, cpu time, peak memory and output size with their spread, ratios taken within each round, and the floor: the seconds of the codec calls and one copy alone, for the same bytes. Every output is checked, and a wrong one fails the run.',
    'WHAT is join, or floor, which measures the floor of a joined file alone. A peer that is not installed is named with the reason. The scripts of the peers are part of a checkout, not of the package.',
  ],
  sections: [
    {
      title: 'CASES',
      paragraphs: [
        'regrouped (friend in another order, -j 2), regrouped-j1, regrouped-slot (-j 1 --memory 300M), aligned (friend in the same order), lzma (primary in LZMA-9), large (-j 1 --memory 1.2G), columns (4 of 66), keys (--dry-run: keys read, indexed and matched). With --make each case gets the data that it is about; with --primary and --friend all cases run on those files. Options behind -- are one more case, custom.',
      ],
    },
    {
      title: 'FIGURES',
      paragraphs: [
        'Wall, cpu (user and system) and peak memory are those of the whole process from start to end, by wait4(2). A figure is the median, with the least and the greatest in parentheses; a ratio is the median of the ratios of each round, because what else the machine did in a round, it did to both. Input files are read once before the first round, so that they are in the page cache for whoever runs first. X+conversion is the conversion of ROOT files to Parquet of the same round, and X after it.',
        '--bars compares with the limits that the project has set itself, for a machine with 2 cores and 1,000,000 events.',
      ],
    },
  ],
  examples: [
    {
      does: 'a minute: small data, one round, colweave and every installed peer',
      line: 'colweave bench join --quick',
    },
    {
      does: 'what the project measures itself by, all figures kept',
      line: 'colweave bench join --make data --case regrouped,regrouped-j1,regrouped-slot,aligned,lzma,columns,keys --bars -o bench.json',
    },
    {
      does: 'more events than memory holds: ten sets with other runs',
      line: 'colweave bench join --make large --events 10000000 --case large --peers none --rounds 1 --bars --reference bench.json',
    },
    {
      does: 'own files, own options, one peer',
      line: 'colweave bench join --primary nano/ --friend friend/ --peers uproot+awkward -- -j 4',
    },
  ],
  exits: [
    [0, 'measured, all outputs right, all bars held (with --bars)'],
    [1, 'an output is wrong, colweave failed, or a bar was missed; failing peers do not count'],
    [2, 'the command line is wrong'],
    [3, 'data are absent and cannot be made'],
    [5, 'the results exist already or cannot be written'],
    [70, 'a bug in colweave'],
    INTERRUPTED,
  ],
  seeAlso: ['colweave(1)', 'colweave-join(1)', 'colweave-errors(7)'],
};
