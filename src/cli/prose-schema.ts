// The prose of `colweave schema`.
import { INTERRUPTED, type Prose } from './prose.ts';

export const SCHEMA: Prose = {
  summary: 'list the columns of a file: types, counters, sizes, keys, and what cannot be read',
  paragraphs: [
    'Reads the metadata of each file and nothing else. For every column: its name as join takes it, its type, the column that counts its lists, the codec, the number of blocks (baskets, pages or column chunks), its bytes as stored and as decompressed, and its title.',
    'The head of each list says which tree was read, how many events and bytes there are, by which columns the events would be joined, and what else the file holds. Columns that cannot be read follow with their type and the reason, and columns that are left out because another says the same.',
  ],
  sections: [
    {
      title: 'FIGURES',
      paragraphs: [
        'Sizes are those that the file states. The columns of one ROOT branch that holds objects share its bytes: each of them shows all bytes stored, which reading any of them costs, and its part of the decompressed ones. The codec of a ROOT column is what the branch was set to when it was written; baskets may differ.',
        'An Arrow file is read whole; its sizes are those in memory.',
      ],
    },
  ],
  examples: [
    { does: 'all columns of a tree', line: 'colweave schema nano_1.root' },
    { does: 'the jets, as JSON', line: "colweave schema nano_1.root -c 'Jet_*' --json" },
    { does: 'another tree of the file', line: 'colweave schema nano_1.root:Runs' },
  ],
  exits: [
    [0, 'listed'],
    [2, 'the command line is wrong, or no column matches'],
    [3, 'a file is missing, unreadable, or has no such tree'],
    [4, 'a server wants a credential that is absent, expired or refused'],
    [70, 'a bug in colweave'],
    [75, 'a server is busy, unreachable, or replaced a file: try again'],
    INTERRUPTED,
  ],
  seeAlso: ['colweave(1)', 'colweave-join(1)', 'colweave-formats(7)', 'colweave-errors(7)'],
};
