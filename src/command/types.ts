// Owns what the commands take and give: typed options in, a report out. The cli parses the one and renders the other.
import type { CacheAccess } from '../cache/place.ts';
import type { Emit } from '../core/events.ts';
import type { ReceiptWitness } from '../core/receipt.ts';
import type { ServerReport } from '../infer/server.ts';
import type { Naming } from '../join/names.ts';
import type { Input } from '../source/inputs.ts';
import type { Relation, SetCounts } from '../verify/event-sets.ts';
import type { Finding } from '../verify/findings.ts';
import type { RunLoss } from '../verify/lumi-json.ts';
import type { Sums } from './sums.ts';

export interface CommandContext {
  readonly emit: Emit;
  readonly signal: AbortSignal;
  /** Sources are read through it. */
  readonly cache?: CacheAccess;
}

/** Words of one source as given: paths, globs, directories, FILE:TREE. */
export interface SourceWords {
  readonly label?: string;
  readonly files: readonly string[];
  /** Instead of the tree of all sources. */
  readonly tree?: string;
  /** Globs over the source's own names, as those over output names. Absent = all of its columns. */
  readonly columns?: readonly string[];
  /** Folder that relative names are relative to; absent = the current directory. */
  readonly base?: string;
}

export type How = 'inner' | 'left' | 'right' | 'outer';
export type Missing = { readonly kind: 'reason' | 'null' | 'drop' } | { readonly kind: 'fill'; readonly value: string };

export interface JoinOptions {
  /** Words as of any source; `LABEL:` words in front of files name primary datasets. */
  readonly primary: readonly string[];
  /** Files of the primary that words led to already; then `primary` is empty. */
  readonly inputs?: readonly Input[];
  /** Folder that relative names of the primary are relative to. */
  readonly base?: string;
  /** Datasets in coffea's form: one join each. Then `primary` is empty, and each friend's word is a fileset too. */
  readonly fileset?: string;
  /** The compose file that options came from: outputs depend on it. */
  readonly composeFile?: string;
  /** Stands in front of /store/... names. */
  readonly redirector?: string;
  readonly friends: readonly SourceWords[];
  readonly how: How;
  /** `cms`, `atlas` or column names joined by commas; absent = by tree content. */
  readonly on?: string;
  readonly tree?: string;
  readonly sample?: string;
  readonly naming?: Naming;
  /** Which events of the primary; several expressions are one already. */
  readonly where?: string;
  /** Globs over output names, in order; `!GLOB` leaves out. Empty = all columns. */
  readonly columns: readonly string[];
  readonly expect?: 'aligned' | '1:1';
  /** `auto` (the default), `off`, or columns joined by commas, each with `~TOLERANCE` if it may differ. */
  readonly witness?: string;
  readonly layout: 'arrow' | 'nano';
  readonly missing: Missing;
  readonly schema: 'strict' | 'union' | 'intersect';
  readonly absentTrigger?: 'false' | 'drop' | 'null';
  /** Weights whose titles or lengths differ between the files of a source stop the join, unless ignored. */
  readonly titles?: 'stop' | 'ignore';
  readonly dropUnreadable: boolean;
  /** Events that several primary datasets have: taken from the first. Absent = an error. */
  readonly duplicates?: 'first-by-source';
  /** Output files of so many events, in a directory. */
  readonly eventsPerFile?: number;
  /** Output files of so many bytes before encoding and compression, in a directory. */
  readonly targetBytes?: number;
  /** A file; a directory when it ends in `/` or is one; `-` for an Arrow IPC stream on stdout. */
  readonly output?: string;
  /** The name on a server that `output`, a file in scratch then, is sent to. */
  readonly published?: string;
  readonly writer: 'parquet' | 'parquetjs' | 'arrow';
  readonly compression: 'zstd' | 'snappy' | 'none';
  /** Columns of several sources that are equal are written once. */
  readonly dedup?: boolean;
  /** Write where each source has an event instead of its payload. */
  readonly mapOnly?: boolean;
  /** A model file whose scores are columns of the output, and who computes them. */
  readonly infer?: { readonly file: string; readonly servers: readonly string[]; readonly spotCheck: number };
  /** Of the model file and who answers, what decides the output. */
  readonly scores?: string;
  readonly dryRun: boolean;
  /** Also write OUT.receipt.json. */
  readonly receipt: boolean;
  readonly force: boolean;
  /** Do again what is up to date. */
  readonly redo?: boolean;
  /** What the output was made from, for make. */
  readonly depfile?: string;
  readonly jobs?: number;
  readonly memoryBytes?: number;
  /** Directory where the keys of input files are kept for other jobs. */
  readonly keyIndex?: string;
  /** Trees of the primary's files that go along into files beside the output. */
  readonly carry?: readonly string[];
  /** Directory of the cache that sources are read through, or `off`; absent = $COLWEAVE_CACHE, else off. */
  readonly cache?: string;
  /** No server is asked. */
  readonly offline?: boolean;
}

export interface SourceSummary {
  readonly label: string;
  readonly role: 'primary' | 'friend';
  readonly files: number;
  readonly rows: number;
  readonly columns: number;
  /** Rows of this source that are in the output; for the primary: that have a partner in every friend. */
  readonly matched: number;
  /** Output rows that this source has no event for. */
  readonly missing: number;
  /** Rows of this source that nobody asked for (left, inner) or that only it has (right, outer). */
  readonly extra: number;
  readonly path: 'primary' | 'aligned' | 'local' | 'shuffle';
  readonly why: string;
  readonly bytesToRead: number;
  readonly dropped: readonly string[];
  readonly unreadable: readonly { readonly name: string; readonly type: string; readonly reason: string }[];
}

/** The cut flow: rows of the primary, and those left after each term. */
export interface SelectionSummary {
  readonly where: string;
  readonly rows: number;
  readonly terms: readonly { readonly term: string; readonly rows: number }[];
}

export interface PlanSummary {
  readonly key: readonly string[];
  readonly how: How;
  readonly layout: 'arrow' | 'nano';
  readonly sources: readonly SourceSummary[];
  readonly selection?: SelectionSummary;
  /** Columns not written, as the output column named after them says the same. */
  readonly equal?: readonly { readonly name: string; readonly column: string }[];
  readonly rowsOut: number;
  readonly columnsOut: readonly {
    readonly name: string;
    readonly type: string;
    readonly nullable: boolean;
    readonly source: string;
  }[];
  readonly rowGroupRows: number;
  readonly threads: number;
  readonly memoryBytes: number;
  /** Raw bytes of shuffled sources that do not fit into the memory: they pass through scratch. */
  readonly scratchBytes: number;
  /** One line a thing the user should know, such as columns that coffea's reader would misread. */
  readonly notes: readonly string[];
  /** Events that several primary datasets have, by pair: rows taken from `kept`, left out of `dropped`. */
  readonly overlaps?: readonly { readonly kept: string; readonly dropped: string; readonly rows: number }[];
}

export interface OutputSummary {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly rowGroups: number;
}

export interface JoinReport {
  readonly plan: PlanSummary;
  /** Empty for a dry run. */
  readonly outputs: readonly OutputSummary[];
  /** Columns whose source and output seals were compared and found equal. */
  readonly sealsEqual: number;
  readonly carried?: readonly CarriedSummary[];
  /** Totals of the carried Runs tree. */
  readonly sums?: Sums;
  /** One a friend: what proves, beside the key, that its rows are of the same events. */
  readonly witness?: readonly ReceiptWitness[];
  readonly scores?: ScoresSummary;
}

/** What a model made of the joined rows. */
export interface ScoresSummary {
  readonly model: string;
  /** Rows of tensors. */
  readonly rows: number;
  readonly requests: number;
  readonly servers: readonly ServerReport[];
  /** By column: values that are NaN or infinite. */
  readonly nonFinite: readonly { readonly name: string; readonly values: number }[];
  /** Rows that were asked again and agreed. */
  readonly spotRows: number;
}

export interface CarriedSummary {
  readonly tree: string;
  readonly path: string;
  readonly rows: number;
  readonly columns: number;
  readonly bytes: number;
  readonly unreadable: readonly { readonly name: string; readonly type: string; readonly reason: string }[];
}

/** Nothing was done: the output is what this join would write. */
export interface FreshReport {
  readonly upToDate: true;
  readonly outputs: readonly OutputSummary[];
}

export interface FailedDataset {
  readonly code: string;
  readonly exit: number;
  readonly message: string;
  readonly where: readonly string[];
  readonly near: readonly string[];
  readonly hint: string;
  readonly details: readonly string[];
}

/** One join a dataset, each published by itself. */
export interface FilesetReport {
  readonly datasets: readonly {
    readonly name: string;
    readonly directory: string;
    readonly outcome: JoinReport | FreshReport | { readonly error: FailedDataset };
  }[];
  /** The fileset of the outputs; absent for a dry run, or when a dataset failed. */
  readonly fileset?: string;
  /** Nothing was done, for any dataset. */
  readonly upToDate?: true;
}

export interface VerifyOptions {
  readonly outputs: readonly string[];
  /** A receipt kept beside, for files that lost theirs. */
  readonly receipt?: string;
  /** The source files, in any order: each is found in the receipt by its identity. */
  readonly against: readonly string[];
  readonly tree?: string;
  /** Files whose events are compared, as one set, with those of `outputs`; no receipt is looked at then. */
  readonly relation?: { readonly kind: Relation; readonly files: readonly string[] };
  /** `cms`, `atlas` or column names: the key of files without a receipt. */
  readonly on?: string;
  /** A lumi mask to compare with, and where to write the lumi blocks that have events. */
  readonly lumis?: string;
  readonly writeLumis?: string;
  /** A directory of parts that one batch of joins wrote. */
  readonly parts?: string;
  /** Directory of the cache that the sources of `against` are read through; absent = none. */
  readonly cache?: string;
  readonly offline?: boolean;
  readonly jobs?: number;
  readonly memoryBytes?: number;
}

/** How the events of two sets of files relate. */
export interface RelationReport extends SetCounts {
  readonly kind: Relation;
  readonly left: { readonly files: readonly string[]; readonly rows: number };
  readonly right: { readonly files: readonly string[]; readonly rows: number };
  readonly holds: boolean;
  readonly findings: readonly Finding[];
}

export interface LumiReport {
  /** Lumi blocks that have events, and their events. */
  readonly blocks: number;
  readonly events: number;
  /** Lumi blocks that were processed and have none; absent where no LuminosityBlocks was found. */
  readonly empty?: number;
  /** By the receipts: what the joins lost of each run of their primaries. */
  readonly runs: readonly RunLoss[];
  readonly mask?: string;
  readonly written?: string;
  readonly findings: readonly Finding[];
}

export interface VerifyReport {
  readonly files: readonly {
    readonly path: string;
    readonly verdict: 'verified' | 'rewritten' | 'mixed-or-damaged';
    readonly rows: number;
    readonly columns: number;
    readonly against: boolean;
    /** A directory: how many parts of a batch are in it. */
    readonly parts?: number;
    readonly findings: readonly Finding[];
  }[];
  readonly relation?: RelationReport;
  readonly lumis?: LumiReport;
}

export type RunJoin = (options: JoinOptions, context: CommandContext) => Promise<JoinReport | FreshReport>;
export type RunFileset = (options: JoinOptions, context: CommandContext) => Promise<FilesetReport>;
export type RunVerify = (options: VerifyOptions, context: CommandContext) => Promise<VerifyReport>;
