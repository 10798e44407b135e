// Owns receipt/1: what an output says of itself, as plain JSON that anybody can check (man 7 colweave-receipt).
import { createHash } from 'node:crypto';
import type { Ancestry } from './ancestry.ts';

export const RECEIPT_KEY = 'colweave.receipt';
export const RECEIPT_FORMAT = 'receipt/1';

export interface ReceiptFile {
  /** Base name, never a path. */
  readonly name: string;
  readonly identity: FileIdentity;
  readonly rows: number;
}

/** identity/1: what tells one file from another whatever its name. */
export interface FileIdentity {
  readonly size: number;
  /** ROOT: the file's UUID; Parquet: sha256 of the footer; else sha256 of the bytes. */
  readonly id: string;
  readonly tree?: string;
  readonly entries: number;
}

export interface ReceiptColumn {
  readonly name: string;
  readonly type: string;
  /** Rows that are not null. */
  readonly present: number;
  /** 32 hex digits, seal/1. */
  readonly seal: string;
  /** Output columns only: rows that hold a fill value instead of a missing event's; then the source's seal differs. */
  readonly filled?: number;
  /** In a source: its own name of the column, where that is neither `name` nor `name` without the label. */
  readonly from?: string;
  /** Lists of weights, whose items mean what it says; where the files say it. */
  readonly title?: string;
}

/** In a source, `columns` are sealed over the rows that this output uses, under the output's names and types. */
export interface ReceiptSource {
  readonly label: string;
  readonly files: readonly ReceiptFile[];
  readonly rows: number;
  /** Over all rows of the source. */
  readonly keySeal: string;
  readonly matched: number;
  readonly unmatched: number;
  /** Rows left out because an earlier primary dataset has the event too. */
  readonly duplicates: number;
  /** The same by pair of primary datasets. */
  readonly overlaps?: readonly { readonly kept: string; readonly dropped: string; readonly rows: number }[];
  readonly columns: readonly ReceiptColumn[];
  /** Columns left out because others say the same, such as counters proved equal to the primary's. */
  readonly dropped: readonly string[];
  /** Columns not written, since an output column holds the same values for the same events: its name, and theirs. */
  readonly equal?: readonly { readonly name: string; readonly from: string; readonly column: string }[];
  /** Where its events come from, as far as its files tell. */
  readonly ancestry?: Ancestry;
}

/** Lists of weights: item 0 is another variation under another title. */
const WEIGHTS = /^(LHE|PS)\w*Weight\w*$/;

/** By the name that a source has for the column. */
export const isWeights = (name: string): boolean => WEIGHTS.test(name);

/** A cut flow: of the primary's rows (of all its files, whatever file this output is for) those left after each term. */
export interface ReceiptSelection {
  readonly where: string;
  readonly rows: number;
  readonly terms: readonly { readonly term: string; readonly rows: number }[];
}

/** What the files of a friend and of the primary both say of an event: proof that equal keys are the same event. */
export interface ReceiptWitness {
  readonly source: string;
  readonly columns: readonly {
    /** In the primary, and in the friend. */
    readonly name: string;
    readonly from: string;
    /** Unequal in one event, and the join had stopped. */
    readonly hard: boolean;
    readonly tolerance: number;
    readonly compared: number;
    readonly differing: number;
  }[];
  /** Pairs of sampled events of the primary, and those that agree in every hard column. */
  readonly pairs: number;
  readonly agreeing: number;
}

/** Events of the primary, evenly spread over an output file, of which every pair is looked at for the power of its witnesses. */
export const WITNESS_SAMPLE = 4096;

/** Two random events agree more often than this: equal witnesses prove little. */
const WITNESS_POWER_MAX = 1e-3;

export function isWitnessed({ pairs, agreeing }: Pick<ReceiptWitness, 'pairs' | 'agreeing'>): boolean {
  return pairs > 0 && agreeing <= WITNESS_POWER_MAX * pairs;
}

export type LumiRanges = readonly (readonly [string, readonly (readonly [number, number, number])[]])[];

export interface Receipt {
  readonly format: typeof RECEIPT_FORMAT;
  readonly tool: string;
  /** What was asked: how, key, columns, layout, policies; never where or how fast. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly sources: readonly ReceiptSource[];
  readonly output: {
    readonly rows: number;
    readonly keySeal: string;
    readonly columns: readonly ReceiptColumn[];
    /** seal/1 of the row numbers, a u32 column: values may be right and rows in another order. */
    readonly order?: string;
    readonly rowGroups: readonly { readonly rows: number; readonly sha256: string }[];
  };
  /** Per run: [first, last, events] of each stretch of lumi blocks with the same number of events a block. */
  readonly lumis: { readonly in: LumiRanges; readonly out: LumiRanges };
  readonly witness?: readonly ReceiptWitness[];
  readonly policies: Readonly<Record<string, unknown>>;
  readonly selection?: ReceiptSelection;
  /** One file of a directory: it answers for the rows start .. end of this source (0 = the primary), joined or not. */
  readonly part?: { readonly source: number; readonly start: number; readonly end: number };
  /** Of the canonical text without this member: any edit shows that is not made on purpose. */
  readonly sha256?: string;
}

/** What is written: canonical, with its own digest. */
export function receiptText(receipt: Receipt): string {
  return canonicalJson({ ...receipt, sha256: receiptDigest(receipt) });
}

export function receiptDigest(receipt: Receipt): string {
  const text = canonicalJson({ ...receipt, sha256: undefined });
  return createHash('sha256').update(text).digest('hex');
}

/** Canonical JSON: sorted keys, no white space, so that equal receipts are equal bytes. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
  return `{${entries.join(',')}}`;
}
