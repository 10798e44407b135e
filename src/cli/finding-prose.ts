// What each finding of verify means, for its man page. The compiler wants every code here.
import type { FindingCode } from '../verify/findings.ts';

export const FINDING_MEANING: Readonly<Record<FindingCode, string>> = {
  'verify/damaged': 'Bytes of the file cannot be read or do not match their checksum.',
  'verify/receipt-edited': 'The receipt contradicts itself: somebody changed it.',
  'verify/schema-differs': 'Columns are absent, added, or of another type than the receipt says.',
  'verify/column-differs':
    'A column does not hold, event by event, what was written: values were changed, or moved to other events.',
  'verify/columns-exchanged': 'Two columns hold the values of each other.',
  'verify/key-differs': 'The events are others than those that were written.',
  'verify/rows-lost': 'Events that were joined are not there.',
  'verify/rows-doubled': 'Events are there more often than they were joined.',
  'verify/rows-foreign': 'Rows are there that the join did not write.',
  'verify/duplicate-key': 'An event is there twice.',
  'verify/rowgroup-differs': 'The bytes of a row group are others than those that were written.',
  'verify/value-differs': 'The value of an event differs from the source (--against): the first one is named.',
  'verify/selection-differs':
    "with --against: the receipt's --where, evaluated again event by event, keeps other events than its cut flow says",
  'verify/flag-differs': 'LABEL_missing says something else than the sources (--against).',
  'verify/witness-differs': 'What the receipt says of witness columns is not what the sources say (--against).',
  'verify/title-differs':
    'A list of weights has another title than it was joined with: its items are other variations.',
  'verify/ancestry-differs':
    'Files say that their events come from elsewhere than the receipt says (--against): history, sums of weights, files joined from.',
  'verify/source-changed': 'A file given to --against is not the one that was joined.',
  'verify/source-absent': 'A file that was joined is not given to --against.',
  'verify/source-unknown': 'A file given to --against had no part in the join.',
  'verify/events-absent': 'Events of the files compared with are not there (--same-events).',
  'verify/events-extra': 'Events are there that the files compared with do not have (--same-events, --subset-of).',
  'verify/events-shared': 'Events are on both sides (--disjoint).',
  'verify/part-differs': 'A part of a batch was joined with other options than the rest (--parts).',
  'verify/lumi-outside': 'Events lie outside of the lumi mask (--lumis).',
  'verify/lumi-absent':
    'Lumi blocks of the mask have no event, and nothing says that they were processed (--lumis). No damage.',
  'verify/lumi-lost':
    'Lumi blocks of the mask have events in the primary, and the join lost all of them (--lumis). No damage.',
  'verify/lumi-empty':
    'Lumi blocks of the mask have no event here, but were processed: LuminosityBlocks lists them, or a selection cut their events (--lumis). No damage.',
  'verify/rewritten': 'Another tool wrote the file, with equal content. No damage: exit status 0.',
  'verify/order-lost': 'The rows are in another order than they were joined in. No damage: exit status 0.',
};
