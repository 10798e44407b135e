// Owns what verify can find: the codes, what each one means to an analyst, and what to do next.
import { formatCount } from '../core/text.ts';

export interface Offender {
  /** `run 1, luminosityBlock 2, event 3` */
  readonly key: string;
  readonly file: string;
  readonly entry: number;
}

export interface Finding {
  /** `verify/...`: man 7 colweave-receipt lists them. */
  readonly code: string;
  /** One line a physicist understands. */
  readonly text: string;
  readonly count: number;
  readonly columns?: readonly string[];
  readonly lumis?: readonly string[];
  readonly first?: readonly Offender[];
  readonly hint: string;
}

/** `damage: false`: said, but no reason to distrust a value. man 7 colweave-receipt lists them. */
export const FINDINGS = {
  'verify/damaged': { damage: true, hint: 'copy the file again, or join again' },
  'verify/receipt-edited': { damage: true, hint: 'the receipt proves nothing: join again, or use --against SOURCES' },
  'verify/schema-differs': { damage: true, hint: 'the file was changed after the join: join again' },
  'verify/column-differs': { damage: true, hint: 'do not use these columns; --against SOURCES names the events' },
  'verify/columns-exchanged': { damage: true, hint: 'the columns hold the values of each other: join again' },
  'verify/key-differs': {
    damage: true,
    hint: 'values belong to other events than they did: --against SOURCES names them',
  },
  'verify/rows-lost': { damage: true, hint: 'join again; --against SOURCES names the events' },
  'verify/rows-doubled': { damage: true, hint: 'the events count twice in any histogram: join again' },
  'verify/rows-foreign': { damage: true, hint: 'rows were added after the join: join again' },
  'verify/duplicate-key': { damage: true, hint: 'remove the overlap between the input files' },
  'verify/rowgroup-differs': { damage: true, hint: 'only these rows were touched' },
  'verify/value-differs': { damage: true, hint: 'do not use this column: join again' },
  'verify/selection-differs': {
    damage: true,
    hint: 'the expression keeps other events than the receipt says: join again',
  },
  'verify/flag-differs': { damage: true, hint: 'what is missing is not what the flags say: join again' },
  'verify/witness-differs': {
    damage: true,
    hint: 'the receipt states a proof that the sources do not give: join again',
  },
  'verify/title-differs': {
    damage: true,
    hint: 'the items of the list may be other variations than its name says: join again',
  },
  'verify/ancestry-differs': { damage: true, hint: 'the sources are not what the receipt says they are: join again' },
  'verify/source-changed': { damage: true, hint: 'the source was produced again since the join: join again' },
  'verify/source-absent': { damage: true, hint: 'give every file of the source to --against' },
  'verify/source-unknown': { damage: true, hint: 'this file had no part in the join: give those that had' },
  'verify/events-absent': { damage: true, hint: 'look for them by run:lumi in the files that should hold them' },
  'verify/events-extra': { damage: true, hint: 'these events come from elsewhere: check the list of files' },
  'verify/events-shared': { damage: true, hint: 'the events would count twice: leave them out of one side' },
  'verify/part-differs': {
    damage: true,
    hint: 'parts of one batch are joined with the same options: join this one again',
  },
  'verify/lumi-outside': { damage: true, hint: 'apply the mask before the analysis, or give the mask that was used' },
  'verify/lumi-absent': {
    damage: false,
    hint: 'find their files; LuminosityBlocks of the sources (--against, or --carry when joining) tells which had no event',
  },
  'verify/lumi-lost': {
    damage: false,
    hint: 'a friend has none of their events: leave them out of the luminosity, or find its files',
  },
  'verify/lumi-empty': {
    damage: false,
    hint: 'nothing to do: these lumi blocks count for the luminosity all the same',
  },
  'verify/rewritten': { damage: false, hint: 'nothing to do: values and keys are those of the join' },
  'verify/order-lost': { damage: false, hint: 'do not put columns of another file beside these rows by position' },
} as const satisfies Record<string, { readonly damage: boolean; readonly hint: string }>;

export type FindingCode = keyof typeof FINDINGS;

/** First offenders that a finding holds; the count says how many there are. */
export const OFFENDERS_MAX = 5;
/** Lumi blocks or columns that a text names. */
const NAMES_MAX = 6;

export interface FindingDetail {
  readonly count?: number;
  readonly columns?: readonly string[];
  readonly lumis?: readonly string[];
  readonly first?: readonly Offender[];
}

export function finding(code: FindingCode, text: string, detail: FindingDetail = {}): Finding {
  const { count = 1, columns, lumis, first } = detail;
  return {
    code,
    text,
    count,
    ...(columns && columns.length > 0 ? { columns } : {}),
    ...(lumis && lumis.length > 0 ? { lumis } : {}),
    ...(first && first.length > 0 ? { first: first.slice(0, OFFENDERS_MAX) } : {}),
    hint: FINDINGS[code].hint,
  };
}

export function isDamage({ code }: Finding): boolean {
  return FINDINGS[code as FindingCode].damage;
}

/** `1 row`, `1,234 rows` */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `Jet_pt, Jet_eta and 12 more` */
export function named(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).join(', ');
  return names.length > NAMES_MAX ? `${shown} and ${formatCount(names.length - NAMES_MAX)} more` : shown;
}
