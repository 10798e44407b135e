// Owns the kinds of corruption that only some joins have a place for: skims, columns stored once, row maps, witnesses.
import { concatColumns, type FlatColumn } from '../../src/core/column.ts';
import { isWeights, type Receipt, receiptText } from '../../src/core/receipt.ts';
import { sameType } from '../../src/core/schema.ts';
import { sameRow } from '../../src/verify/same-value.ts';
import { exchanged, rowsOf, type Subject, type Table, take, takeRows } from './harness.ts';
import type { Random } from './random.ts';
import { all, type Change, copied, indexIn, type RandomKind } from './random-kinds.ts';

type Options = Subject['options'];
/** A receipt that may be written to. */
type Edited<T> = T extends object ? { -readonly [K in keyof T]: Edited<T[K]> } : T;
type LooseReceipt = Edited<Receipt>;

/** A change of the receipt by somebody who knows how it seals itself; false = there is no place for it. */
function edit(change: (receipt: LooseReceipt, random: Random, table: Table) => boolean): Change {
  return (table, random) => {
    const receipt = JSON.parse(table.receipt!) as LooseReceipt;
    if (!change(receipt, random, table)) return false;
    table.receipt = receiptText(receipt as Receipt);
    return true;
  };
}

const isSkim = ({ where, mapOnly }: Options) => where !== undefined && mapOnly !== true;
const keepsRows = (options: Options) => isSkim(options) && options.how !== 'outer' && options.how !== 'right';
const isMap = ({ mapOnly }: Options) => mapOnly === true;
const isStoredOnce = ({ dedup }: Options) => dedup === true;

/** An event of the whole join that the skim has not is put among its rows. */
const putBack: Change = (table, random, { whole }) => {
  if (whole === undefined) return false;
  const keyOf = (from: Table, row: number) =>
    ['run', 'luminosityBlock', 'event']
      .map((name) => (from.columns[indexIn(from, name)] as FlatColumn).values[row])
      .join();
  const there = new Set(rowsOf(table).map((row) => keyOf(table, row)));
  const gone = rowsOf(whole).filter((row) => !there.has(keyOf(whole, row)));
  if (gone.length === 0) return false;
  const row = random.pick(gone);
  const at = random.below(rowsOf(table).length + 1);
  table.columns = table.fields.map(({ name, type }, i) => {
    const column = table.columns[i]!;
    const rows = all(column);
    const one = take(whole.columns[indexIn(whole, name)]!, [row]);
    return concatColumns(type, [take(column, rows.slice(0, at)), one, take(column, rows.slice(at))]);
  });
  return true;
};

/** The last number of the cut flow, and with it the number of events that the selection left. */
function adaptFlow(by: number) {
  return (receipt: LooseReceipt): boolean => {
    const { selection, sources } = receipt;
    if (selection === undefined) return false;
    selection.terms.at(-1)!.rows += by;
    sources[0]!.matched += by;
    sources[0]!.unmatched -= by;
    return true;
  };
}

const both =
  (...changes: readonly Change[]): Change =>
  (table, random, subject) =>
    changes.every((change) => change(table, random, subject));

const dropRow: Change = (table, random) => {
  takeRows(table, rowsOf(table).toSpliced(random.below(rowsOf(table).length), 1));
  return true;
};

/** A number of the cut flow that is not the last one, between its neighbours, so that the flow falls as it did. */
const otherFlow = edit(({ selection }, random) => {
  if (selection === undefined) return false;
  const flow = [selection.rows, ...selection.terms.map(({ rows }) => rows)];
  const terms = selection.terms.slice(0, -1).filter((_, t) => flow[t]! > flow[t + 2]!);
  if (terms.length === 0) return false;
  const term = random.pick(terms);
  const t = selection.terms.indexOf(term);
  const values = [...Array(flow[t]! - flow[t + 2]! + 1).keys()].map((i) => flow[t + 2]! + i);
  term.rows = random.pick(values.filter((value) => value !== term.rows));
  return true;
});

const otherTerm = edit(({ selection }) => {
  if (selection === undefined) return false;
  selection.where = selection.where.replace('>= 2', '>= 1');
  return true;
});

/** What is stored once is said to be in another column than it is in. */
const otherReference = edit(({ sources, output }, random) => {
  const entries = random.shuffled(sources.flatMap(({ equal = [] }) => equal));
  for (const entry of entries) {
    const now = output.columns.find(({ name }) => name === entry.column)!;
    const others = output.columns.filter(
      ({ name, type, seal }) => name !== now.name && type === now.type && seal !== now.seal,
    );
    if (others.length === 0) continue;
    entry.column = random.pick(others).name;
    return true;
  }
  return false;
});

/** The column that stands for several holds a variation of it. */
const otherVariation: Change = (table, random) => {
  const { sources } = JSON.parse(table.receipt!) as Receipt;
  const shared = new Set(sources.flatMap(({ equal = [] }) => equal.map(({ column }) => column)));
  for (const name of random.shuffled([...shared])) {
    const i = indexIn(table, name);
    const [field, column] = [table.fields[i]!, table.columns[i]!];
    const others = table.columns.filter((other, k) => {
      if (k === i || !sameType(table.fields[k]!.type, field.type) || table.fields[k]!.nullable !== field.nullable)
        return false;
      const same = sameRow(column, other);
      return all(column).some((row) => !same(row, row));
    });
    if (others.length === 0) continue;
    table.columns[i] = random.pick(others);
    return true;
  }
  return false;
};

/** A place of a row map, such that it says something else. */
function otherPlace(part: 'file' | 'entry', change: (values: FlatColumn['values'], random: Random) => boolean): Change {
  return (table, random) => {
    const fields = random.shuffled(table.fields.filter(({ name }) => name.endsWith(`_${part}`)));
    for (const { name } of fields) {
      const i = indexIn(table, name);
      const column = copied(table.columns[i]!) as FlatColumn;
      if (!change(column.values, random)) continue;
      table.columns[i] = column;
      return true;
    }
    return false;
  };
}

const some = (values: FlatColumn['values'], fits: (value: number) => boolean): number[] =>
  [...Array(values.length).keys()].filter((i) => fits(Number(values[i])));

function setPlace(fits: (value: number) => boolean, to: (value: number) => number) {
  return (values: FlatColumn['values'], random: Random): boolean => {
    const rows = some(values, fits);
    if (rows.length === 0) return false;
    const row = random.pick(rows);
    values[row] = to(Number(values[row]));
    return true;
  };
}

/** The places of two events are exchanged, in file and entry. */
const exchangePlaces: Change = (table, random) => {
  const { sources } = JSON.parse(table.receipt!) as Receipt;
  const { label } = random.pick(sources);
  const names = [`${label}_file`, `${label}_entry`];
  const rows = rowsOf(table);
  const [i, j] = random.shuffled(rows) as [number, number];
  const same = names
    .map((name) => table.columns[indexIn(table, name)]!)
    .every((column) => sameRow(column, column)(i, j));
  if (same) return false;
  takeRows(table, exchanged(rows, i, j), names);
  return true;
};

type LooseWitness = NonNullable<LooseReceipt['witness']>[number];

/** What the receipt says of the witnesses of one friend, changed such that it could be. */
const editWitness = (change: (witness: LooseWitness, random: Random) => boolean): Change =>
  edit(({ witness = [] }, random) => {
    const telling = witness.filter(({ columns }) => columns.some(({ hard }) => hard));
    return telling.length > 0 && change(random.pick(telling), random);
  });

const hardOf = ({ columns }: LooseWitness, random: Random) => random.pick(columns.filter(({ hard }) => hard));
const isWitnessed = ({ friends = [] }: Options) => friends.some(({ label }) => label === 'tw');

const fewerCompared = editWitness((witness, random) => {
  const column = hardOf(witness, random);
  column.compared -= 1 + random.below(column.compared);
  return true;
});

const notCompared = editWitness((witness, random) => {
  witness.columns = witness.columns.toSpliced(witness.columns.indexOf(hardOf(witness, random)), 1);
  return true;
});

const calledSoft = editWitness((witness, random) => {
  hardOf(witness, random).hard = false;
  return true;
});

const tolerated = editWitness((witness, random) => {
  hardOf(witness, random).tolerance = 0.1;
  return true;
});

const otherPower = editWitness((witness, random) => {
  witness.agreeing = (witness.agreeing + 1 + random.below(witness.pairs)) % (witness.pairs + 1);
  return true;
});

const otherSample = editWitness((witness, random) => {
  witness.pairs += 1 + random.below(1000);
  return true;
});

/** As files that were put together from two samples: item 0 is another variation. */
const otherTitle: Change = (table, random) => {
  const titled = table.fields.filter(({ name, doc }) => isWeights(name) && doc);
  if (titled.length === 0) return false;
  const field = random.pick(titled);
  table.fields[table.fields.indexOf(field)] = { ...field, doc: `${field.doc}; [0] is ISR=2 FSR=1` };
  return true;
};

const titleInReceipt = edit(({ sources, output }, random) => {
  const titled = output.columns.filter(({ title }) => title !== undefined);
  if (titled.length === 0) return false;
  const column = random.pick(titled);
  column.title = 'PS weights; [0] is ISR=2 FSR=1';
  for (const { columns } of sources)
    for (const other of columns) if (other.name === column.name) other.title = column.title;
  return true;
});

const hasRuns = ({ primary }: Options) => primary === undefined;

const otherSums = edit(({ sources }, random) => {
  const weights = sources[0]?.ancestry?.weights;
  if (weights === undefined) return false;
  const part = random.pick(['count', 'sumw', 'sumw2'] as const);
  weights[part] += 1 + random.below(100);
  return true;
});

const otherHistory = edit(({ sources }) => {
  const ancestry = sources[0]?.ancestry;
  if (ancestry === undefined) return false;
  ancestry.histories = [[{ process: 'GEN', release: 'CMSSW_10_6_4', config: '5b1bd2b4ae1a798e048ea486616cc280' }]];
  return true;
});

const otherParent = edit(({ sources }) => {
  const ancestry = sources[0]?.ancestry;
  if (ancestry === undefined) return false;
  ancestry.parents = [{ name: 'nano_1.root', id: '7c60a54c-0000-11f1-9717-0101007fbeef' }];
  return true;
});

const FORGED = { forged: true, sourcesOnly: true } as const;

export const JOIN_KINDS: readonly RandomKind[] = [
  { name: 'an event that the selection drops put back', change: putBack, fits: isSkim },
  { name: 'the same, the cut flow adapted', change: both(putBack, edit(adaptFlow(1))), fits: isSkim },
  { name: 'the same, the receipt forged', change: both(putBack, edit(adaptFlow(1))), fits: keepsRows, ...FORGED },
  { name: 'a passing event removed, the cut flow adapted', change: both(dropRow, edit(adaptFlow(-1))), fits: isSkim },
  { name: 'the same, forged too', change: both(dropRow, edit(adaptFlow(-1))), fits: keepsRows, ...FORGED },
  { name: 'another number in the cut flow', change: otherFlow, fits: keepsRows, ...FORGED },
  { name: 'another expression', change: otherTerm, fits: keepsRows, ...FORGED },
  { name: 'a witness compared in fewer events', change: fewerCompared, fits: isWitnessed, sourcesOnly: true },
  { name: 'a witness left out', change: notCompared, fits: isWitnessed, sourcesOnly: true },
  { name: 'a hard witness called soft', change: calledSoft, fits: isWitnessed, sourcesOnly: true },
  { name: 'a tolerance that nobody asked for', change: tolerated, fits: isWitnessed, sourcesOnly: true },
  { name: 'another power of the witnesses', change: otherPower, fits: isWitnessed, sourcesOnly: true },
  { name: 'another number of sampled events', change: otherSample, fits: isWitnessed, sourcesOnly: true },
  { name: 'weights under another title', change: otherTitle, receiptOnly: true },
  { name: 'another title of weights in the receipt', change: titleInReceipt },
  { name: 'other sums of generator weights', change: otherSums, fits: hasRuns, sourcesOnly: true },
  { name: 'a processing history made up', change: otherHistory, fits: hasRuns, sourcesOnly: true },
  { name: 'joined from a file that was not', change: otherParent, fits: hasRuns, sourcesOnly: true },
  {
    name: 'a column stored once is said to be in another',
    change: otherReference,
    fits: isStoredOnce,
    sourcesOnly: true,
  },
  { name: 'a column stored once holds another variation', change: otherVariation, fits: isStoredOnce },
  {
    name: 'a row map one entry off',
    change: otherPlace(
      'entry',
      setPlace(
        (n) => n >= 0,
        (n) => n + 1,
      ),
    ),
    fits: isMap,
  },
  { name: 'a row map with two events exchanged', change: exchangePlaces, fits: isMap },
  {
    name: 'a row map where nowhere is entry 0',
    change: otherPlace(
      'entry',
      setPlace(
        (n) => n < 0,
        () => 0,
      ),
    ),
    fits: isMap,
  },
  {
    name: 'a row map where an event is nowhere',
    change: otherPlace(
      'entry',
      setPlace(
        (n) => n >= 0,
        () => -1,
      ),
    ),
    fits: isMap,
  },
  {
    name: 'a row map with another file',
    change: otherPlace(
      'file',
      setPlace(
        (n) => n >= 0,
        (n) => (n === 0 ? 1 : 0),
      ),
    ),
    fits: isMap,
  },
];
