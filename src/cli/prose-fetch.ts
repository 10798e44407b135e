// The prose of `colweave fetch`.
import { INTERRUPTED, type Prose } from './prose.ts';

export const FETCH: Prose = {
  summary: 'bring columns of files here, once for all who share a cache',
  paragraphs: [
    'Reads the named columns of ROOT, Parquet and Arrow files, wherever they are, and writes them to Parquet or Arrow files with a receipt each, which verify checks. Key columns always come along, so that what was fetched can be joined. Only the bytes of these columns travel.',
    'A fetch that was stopped is gone on with by giving it again: files that are there and up to date are kept.',
  ],
  sections: [
    {
      title: 'OUTPUT',
      paragraphs: [
        "-o DIR/ (or a name without a data file's ending) gives a file for each source file, of the same name; folders are put in front where names are alike. Each is published by itself, whole. What is wrong with one file does not stop the others: it is told at the end, with the exit status of the first.",
        '-o FILE puts the events of all source files into one, in the order given.',
        'The manifest, DIR/_fetch.json or FILE.fetch.json, has for each file that was written its source (without user, password or signature), the identity of the source, rows, bytes and sha256; "complete" is true once nothing is left to fetch.',
      ],
    },
    {
      title: 'CACHE',
      paragraphs: [
        'The cache holds columns: each entry is one column of one tree of one file, named after the identity of the file (not its address), the tree and the column. So a request shares with any other, of whatever user, what both name, and only the difference is fetched. Two jobs that want the same column at once make one transfer: the second waits for the first. Local files are read from where they are, unless --cache names a directory.',
        'A directory that a group shares needs no server: POSIX or NFS will do. What is made in it may be read and written by whom the directory itself lets (chmod 2770 for a group); a directory that anybody may write to is refused, unless it has the sticky bit. No address is kept with a user, password, token or signature.',
        'Entries are written beside their names, flushed and renamed: what is found is whole. Every byte is under a sha256; an entry that is not what was written is set aside below damaged/, counted, told (cache/damaged) and fetched again.',
        'Opening a file on a server asks the server whether it is still the same. Where it does not answer, or with --offline, the cache says what it knows: the file as it was when seen last, with a note when that was. A column that is not there then ends in cache/offline-miss.',
        '--cache-gc removes the entries used longest ago until --max-size holds, and those that nobody used for --max-age; never one that a running job uses. Jobs say what they use in jobs/, and on other machines count as running for 20 minutes after their last sign.',
      ],
    },
  ],
  examples: [
    {
      does: 'a few columns of two files, a file each',
      line: "colweave fetch nano_1.root nano_2.root -c 'Jet_*,MET_pt' -o jets/",
    },
    {
      does: 'the same into one file',
      line: "colweave fetch nano_1.root nano_2.root -c 'Jet_*,MET_pt' -o jets.parquet",
    },
    { does: 'what a shared cache holds', line: 'colweave fetch --cache-ls --cache /shared/colweave' },
    {
      does: 'make room in it',
      line: 'colweave fetch --cache-gc --max-size 200G --max-age 60d --cache /shared/colweave',
    },
  ],
  exits: [
    [0, 'all is there'],
    [1, 'the data say no: events that are twice in a file; with --cache-check: entries were damaged'],
    [2, 'the command line is wrong, or no column matches'],
    [3, 'a file is missing, unreadable or not what it should be'],
    [4, 'credentials are missing or refused'],
    [5, 'the output or the cache cannot be written, or the output exists already'],
    [6, 'memory or scratch space would not suffice'],
    [70, 'a bug in colweave'],
    [75, 'a server does not answer, and the cache does not have what is asked for: try again'],
    INTERRUPTED,
  ],
  seeAlso: ['colweave(1)', 'colweave-join(1)', 'colweave-verify(1)', 'colweave-formats(7)', 'colweave-errors(7)'],
};
