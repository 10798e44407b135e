// Owns what `colweave bench` takes and gives: typed options in, a report with all raw figures out.

export interface BenchOptions {
  readonly primary: readonly string[];
  readonly friend: readonly string[];
  readonly tree?: string;
  /** Where data are made, or were made by an earlier run with the same --events and --seed. */
  readonly make?: string;
  readonly events: number;
  readonly seed: number;
  readonly cases: readonly string[];
  /** Options of `colweave join`, as they stood behind `--`: one more case, called `custom`. */
  readonly joinWords: readonly string[];
  /** Names of peers; absent = all that are installed. */
  readonly peers?: readonly string[];
  readonly peerThreads?: number;
  readonly python?: string;
  readonly rounds: number;
  readonly quick: boolean;
  readonly bars: boolean;
  /** Results of an earlier run on fewer events, which the bar of `large` compares its time with. */
  readonly reference?: string;
  /** Kept, with the Parquet copies that peers need; absent = a temporary one. */
  readonly work?: string;
  readonly output?: string;
  readonly force: boolean;
}

export interface FloorOptions {
  readonly primary: readonly string[];
  readonly friend: readonly string[];
  readonly tree?: string;
  /** A joined file: its columns are the ones read, its pages are compressed again. */
  readonly joined: string;
}

/** One process from start to end, as the operating system counts it. */
export interface RunFigures {
  readonly wallSeconds: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly peakBytes: number;
  /** All that read(2) and its kin gave, files and libraries alike; absent where the system does not tell. */
  readonly readBytes?: number;
  readonly writtenBytes?: number;
  /** cpu that everything else on the machine used meanwhile: near 0 on a quiet one. */
  readonly othersSeconds: number;
  /** Bytes of what it wrote under the output's name; 0 where it has none. */
  readonly outputBytes: number;
  /** Seconds the command itself calls its figure, such as the floor's codec calls. */
  readonly ownSeconds?: number;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface OutputCheck {
  readonly ok: boolean;
  /** One line: what was looked at and what was found. */
  readonly text: string;
}

export interface CommandReport {
  readonly name: string;
  readonly role: 'colweave' | 'peer' | 'floor' | 'base';
  readonly does: string;
  readonly runs: readonly RunFigures[];
  readonly wallSeconds: Spread;
  readonly cpuSeconds: Spread;
  readonly peakBytes: Spread;
  readonly outputBytes: number;
  readonly check?: OutputCheck;
  /** Why it has no figures: the last line that it said. */
  readonly failed?: string;
  /** What the plan of colweave says; absent for all others. */
  readonly plan?: PlanFigures;
}

export interface PlanFigures {
  readonly rows: number;
  readonly bytesToRead: number;
  readonly scratchBytes: number;
  readonly paths: readonly string[];
}

/** colweave divided by another command, pair by pair in each round. */
export interface Ratio {
  readonly of: string;
  readonly to: string;
  readonly wall: Spread;
  readonly cpu: Spread;
  readonly peak: Spread;
}

export interface InputSummary {
  readonly role: 'primary' | 'friend';
  readonly files: number;
  readonly bytes: number;
  /** sha256 over base names and contents. */
  readonly fingerprint: string;
}

export interface Skip {
  readonly name: string;
  readonly reason: string;
}

/** Sizes of the same table as pyarrow writes it. */
export interface Rewritten {
  readonly smallGroupsBytes: number;
  readonly standardBytes: number;
  readonly colweaveBytes: number;
}

/** All commands that worked on the same files, interleaved. */
export interface GroupReport {
  readonly data: string;
  readonly inputs: readonly InputSummary[];
  readonly events: number;
  readonly commands: readonly CommandReport[];
  readonly ratios: readonly Ratio[];
  readonly floor?: FloorReport;
  /** cpu of the cases that have all columns, over the floor's own seconds. */
  readonly floorRatios: readonly { readonly of: string; readonly cpu: Spread }[];
  readonly rewritten?: Rewritten;
  readonly skips: readonly Skip[];
}

export interface BarResult {
  readonly case: string;
  readonly what: string;
  readonly limit: number;
  readonly value?: number;
  readonly verdict: 'hold' | 'miss' | 'not measured';
  readonly reason?: string;
}

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryBytes: number;
  readonly system: string;
  readonly colweave: string;
  /** sha256 of the built entry, which names its chunks by their content. */
  readonly build: string;
  /** Somebody built anew while it was measured: the rounds are not of one program. */
  readonly buildChanged: boolean;
  readonly node: string;
  readonly python?: string;
  readonly packages: Readonly<Record<string, string>>;
  readonly loadBefore: readonly number[];
  readonly loadAfter: readonly number[];
  /** How processes were measured. */
  readonly measuredBy: string;
}

export interface BenchReport {
  readonly what: 'join';
  readonly quick: boolean;
  readonly rounds: number;
  readonly machine: Machine;
  readonly groups: readonly GroupReport[];
  /** Empty without --bars. */
  readonly bars: readonly BarResult[];
}

export interface FloorPart {
  readonly cpuSeconds: number;
  readonly calls: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What no join can go below with these codecs: decompress what is read, copy it once, compress what is written. */
export interface FloorReport {
  readonly what: 'floor';
  readonly cpuSeconds: number;
  readonly decompressPrimary: FloorPart;
  readonly decompressFriend: FloorPart;
  readonly copy: FloorPart;
  readonly compress: FloorPart;
  /** Bytes of the joined file's pages as stored: near compress.bytesOut when the level was the same. */
  readonly storedBytes: number;
}

/** Is something wrong with what was measured, or below a bar? */
export function benchStatus(report: BenchReport): number {
  const commands = report.groups.flatMap((group) => group.commands);
  const ours = commands.some(({ role, failed }) => role !== 'peer' && failed !== undefined);
  const wrong = commands.some(({ role, check }) => role === 'colweave' && check?.ok === false);
  return ours || wrong || report.bars.some(({ verdict }) => verdict === 'miss') ? 1 : 0;
}
