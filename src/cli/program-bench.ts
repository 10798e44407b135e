// The command `bench` and its options, and what they mean for the bench.
import { Argument, type Command } from 'commander';
import type { BenchOptions, FloorOptions } from '../bench/types.ts';
import { ColweaveError } from '../core/errors.ts';
import { group, type Manners, type MannersValues, manners, option, start } from './define.ts';
import { collectNames, parseCount, parseInteger, parseNonEmpty } from './option-values.ts';
import { BENCH } from './prose.ts';

export interface BenchActions {
  benchJoin(options: BenchOptions, manners: Manners): Promise<void>;
  benchFloor(options: FloorOptions, manners: Manners): Promise<void>;
}

interface BenchValues extends MannersValues {
  primary?: string[];
  friend?: string[];
  tree?: string;
  make?: string;
  events: number;
  seed: number;
  case?: string[];
  joined?: string;
  peers?: string[];
  peerThreads?: number;
  python?: string;
  rounds: number;
  quick?: true;
  bars?: true;
  reference?: string;
  work?: string;
  output?: string;
  force?: true;
}

const EVENTS_DEFAULT = 1_000_000;
const ROUNDS_DEFAULT = 5;
const SEED_DEFAULT = 20260101;

export function benchCommand(actions: BenchActions): Command {
  const usage = 'join [--primary FILES... --friend FILES... | --make DIR | --quick] [-- OPTIONS...]';
  const command = start('bench', BENCH, usage);
  command.addArgument(new Argument('<WHAT>', 'join, or floor').choices(['join', 'floor']));
  command.addArgument(new Argument('[OPTIONS...]', 'behind --: options of colweave join, a case of their own'));
  group(command, 'Data:', [
    option('--primary <FILES...>', 'files or directories: every word up to the next option'),
    option('--friend <FILES...>', 'the same, of the friend'),
    option('--tree <NAME>', 'tree to read').argParser(parseNonEmpty),
    option('--make <DIR>', 'make data there, or take what was made there').argParser(parseNonEmpty),
    option('--events <N>', 'events to make').argParser(parseInteger).default(EVENTS_DEFAULT),
    option('--seed <S>', 'other data of the same kind').argParser(parseInteger).default(SEED_DEFAULT),
  ]);
  group(command, 'Commands:', [
    option('--case <NAMES>', 'cases to run, comma separated; may be repeated (default: regrouped)').argParser(
      collectNames,
    ),
    option('--peers <NAMES>', 'peers to run, comma separated, or none (default: all installed)').argParser(
      collectNames,
    ),
    option('--peer-threads <N>', 'threads that peers may use (default: the cores)').argParser(parseCount),
    option('--python <PATH>', 'of the peers (default: $COLWEAVE_PYTHON, or that of test/rigs/venv.sh)').argParser(
      parseNonEmpty,
    ),
    option('--joined <FILE>', 'for floor: a joined file, whose columns and pages count').argParser(parseNonEmpty),
  ]);
  group(command, 'Measuring:', [
    option('--rounds <N>', 'times that each command runs').argParser(parseCount).default(ROUNDS_DEFAULT),
    option('--quick', 'small data, one round, no bars'),
    option('--bars', 'compare with the limits that the project has set itself'),
    option('--reference <FILE>', 'results of a run on fewer events: for the bar of case large').argParser(
      parseNonEmpty,
    ),
    option('--work <DIR>', 'keep outputs and copies there (default: a directory that is taken away)').argParser(
      parseNonEmpty,
    ),
    option('-o, --output <FILE>', 'write all figures as JSON').argParser(parseNonEmpty),
    option('-f, --force', 'replace an existing output'),
  ]);
  return command.action(async (what: 'join' | 'floor', joinWords: string[], values: BenchValues) => {
    if (what === 'join') await actions.benchJoin(benchOptions(joinWords, values), manners(values));
    else await actions.benchFloor(floorOptions(values), manners(values));
  });
}

function benchOptions(joinWords: readonly string[], values: BenchValues): BenchOptions {
  const { tree, make, peers, peerThreads, python, reference, work, output } = values;
  return {
    primary: values.primary ?? [],
    friend: values.friend ?? [],
    ...(tree === undefined ? {} : { tree }),
    ...(make === undefined ? {} : { make }),
    events: values.events,
    seed: values.seed,
    cases: values.case ?? [],
    joinWords,
    ...(peers === undefined ? {} : { peers }),
    ...(peerThreads === undefined ? {} : { peerThreads }),
    ...(python === undefined ? {} : { python }),
    rounds: values.rounds,
    quick: values.quick === true,
    bars: values.bars === true,
    ...(reference === undefined ? {} : { reference }),
    ...(work === undefined ? {} : { work }),
    ...(output === undefined ? {} : { output }),
    force: values.force === true,
  };
}

function floorOptions({ primary, friend, tree, joined }: BenchValues): FloorOptions {
  if (primary === undefined || friend === undefined || joined === undefined) {
    throw new ColweaveError('usage/bad-option', 'bench floor wants --primary, --friend and --joined', {
      hint: 'see colweave bench --help',
    });
  }
  return { primary, friend, joined, ...(tree === undefined ? {} : { tree }) };
}
