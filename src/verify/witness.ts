// Owns what a receipt says of witness columns, counted again from the sources: which were compared, in how many events, and how telling they are.
import type { FlatColumn } from '../core/column.ts';
import { type Receipt, type ReceiptWitness, WITNESS_SAMPLE } from '../core/receipt.ts';
import { fieldNamed, type Schema } from '../core/schema.ts';
import { keyColumnName } from '../keys/spec.ts';
import { type Aliases, HARD, SOFT } from '../keys/witness.ts';
import { readRows } from '../source/dataset.ts';
import { type MatchedSource, type OutputKeys, type outputOffender, sourceOffender } from './events.ts';
import { counted, type Finding, finding } from './findings.ts';

type WitnessColumn = ReceiptWitness['columns'][number];

interface Sides {
  readonly output: OutputKeys;
  readonly primary: MatchedSource;
  readonly friend: MatchedSource;
}

/** One finding a thing that the sources do not bear out. Sources that were not given are passed over. */
export async function checkWitnesses(
  output: OutputKeys,
  sources: readonly MatchedSource[],
  receipt: Receipt,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const primary = sources.find(({ index }) => index === 0);
  if (primary === undefined || receipt.policies.witness === undefined) return []; // older receipts state none
  const findings: Finding[] = [];
  for (const friend of sources.filter(({ index }) => index > 0)) {
    const sides = { output, primary, friend };
    const stated = (receipt.witness ?? []).find(({ source }) => source === friend.label);
    const columns = stated?.columns ?? [];
    findings.push(...leftOut(sides, columns, String(receipt.policies.witness)));
    const sampled = sampleRows(sides, receipt.output.rows);
    const known = columns.filter(({ name, from }) => hasNumber(primary, name) && hasNumber(friend, from));
    findings.push(...columns.filter((column) => !known.includes(column)).map((column) => noColumn(friend, column)));
    for (const column of known) findings.push(...(await compareColumn(sides, column, sampled, signal)));
    if (stated !== undefined && known.length === columns.length) findings.push(...checkPower(friend, stated, sampled));
  }
  return findings;
}

const say = (text: string, first: readonly ReturnType<typeof outputOffender>[] = [], count = 1): Finding =>
  finding('verify/witness-differs', text, { count, first });

function noColumn(friend: MatchedSource, { name, from }: WitnessColumn): Finding {
  return say(`witness ${name} of source ${friend.label}: the sources have no number ${name} and ${from}`);
}

function hasNumber({ dataset }: MatchedSource, name: string): boolean {
  return fieldNamed(dataset.descriptor.schema, name)?.type.kind === 'flat';
}

/** What `--witness` asked for and both sides have, but the receipt does not state so. */
function leftOut({ primary, friend }: Sides, columns: readonly WitnessColumn[], asked: string): Finding[] {
  if (asked === 'off') return [];
  const words = asked.split(',').map((word) => word.trim());
  const named = words
    .filter((word) => word !== 'auto')
    .map((word) => {
      const [name = '', tolerance = '0'] = word.split('~');
      const aliases = [...HARD, ...SOFT].find((each) => each.includes(name)) ?? [name];
      return { aliases, tolerance: Number(tolerance) };
    });
  const table = words.includes('auto') ? HARD.map((aliases) => ({ aliases, tolerance: 0 })) : [];
  const wanted = [...named, ...table].flatMap(({ aliases, tolerance }) => {
    const pair = [primary, friend].map(({ dataset }) => numberNamed(dataset.descriptor.schema, aliases));
    const isKey = primary.keys.keys.spec.columns.some(({ name }) => aliases.includes(name));
    return pair.includes(undefined) || isKey || !comparable(pair) ? [] : [{ name: pair[0]!.name, tolerance }];
  });
  const first = wanted.filter(({ name }, i) => wanted.findIndex((other) => other.name === name) === i);
  return first
    .filter(
      (want) =>
        !columns.some(({ name, hard, tolerance }) => name === want.name && hard && tolerance === want.tolerance),
    )
    .map(({ name, tolerance }) => {
      const how = tolerance === 0 ? 'exactly' : `within ${tolerance}`;
      return say(
        `witness ${name} of source ${friend.label}: both sides have it, and the receipt does not compare it ${how}`,
      );
    });
}

interface Named {
  readonly name: string;
  readonly dtype: string | undefined;
}

function numberNamed(schema: Schema, aliases: Aliases): Named | undefined {
  for (const alias of aliases) {
    const name = keyColumnName(schema, alias);
    const type = name === undefined ? undefined : fieldNamed(schema, name)?.type;
    if (name !== undefined) return { name, dtype: type?.kind === 'flat' ? type.dtype : undefined };
  }
  return undefined;
}

/** Floats are not compared with integers that a double may not hold. */
function comparable(pair: readonly (Named | undefined)[]): boolean {
  const dtypes = pair.map((side) => side?.dtype);
  if (dtypes.includes(undefined)) return false;
  return (
    !dtypes.some((dtype) => dtype!.endsWith('64') && !dtype!.startsWith('f')) ||
    dtypes.every((dtype) => !dtype!.startsWith('f'))
  );
}

/** Sampled events of the primary, each with its values of the hard witnesses so far. */
interface Sampled {
  readonly rows: readonly number[];
  readonly values: string[];
}

/** Evenly spread over the rows as they were joined, whatever order they are in now. */
function sampleRows({ output, primary, friend }: Sides, written: number): Sampled {
  const { rows } = output.keys.keys;
  if (rows !== written) return { rows: [], values: [] };
  const order = inJoinedOrder(primary.rowOf, friend.rowOf);
  const stride = Math.max(1, Math.ceil(rows / WITNESS_SAMPLE));
  const sampled: number[] = [];
  for (let i = 0; i < rows; i += stride) {
    const row = order === undefined ? i : order[i]!;
    if (primary.rowOf[row]! >= 0) sampled.push(row);
  }
  return { rows: sampled, values: sampled.map(() => '') };
}

/** The primary's rows in its order, then the others; undefined = they are so. */
function inJoinedOrder(rowOf: Int32Array, other: Int32Array): Int32Array | undefined {
  const place = (row: number) => (rowOf[row]! >= 0 ? rowOf[row]! : 2 ** 31 + Math.max(0, other[row]!));
  let ordered = true;
  for (let row = 1; row < rowOf.length && ordered; row++) ordered = rowOf[row]! < 0 || rowOf[row]! > rowOf[row - 1]!;
  if (ordered) return undefined;
  return Int32Array.from(rowOf.keys()).sort((left, right) => place(left) - place(right));
}

async function compareColumn(
  sides: Sides,
  column: WitnessColumn,
  sampled: Sampled,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { output, primary, friend } = sides;
  const [mine, theirs] = [
    await readNumbers(primary, column.name, signal),
    await readNumbers(friend, column.from, signal),
  ];
  const unequal = unequalBy(mine, theirs, column.tolerance);
  let [compared, differing, first] = [0, 0, -1];
  for (let row = 0; row < primary.rowOf.length; row++) {
    const [p, f] = [primary.rowOf[row]!, friend.rowOf[row]!];
    if (p < 0 || f < 0 || mine.valid?.[p] === 0 || theirs.valid?.[f] === 0) continue;
    compared++;
    if (!unequal(p, f)) continue;
    if (differing++ === 0) first = row;
  }
  if (column.hard) addToSample(sampled, mine, primary);
  const what = `witness ${column.name} of source ${friend.label}`;
  if (column.hard && differing > 0) {
    const [p, f] = [primary.rowOf[first]!, friend.rowOf[first]!];
    const places = [sourceOffender(primary, p), sourceOffender(friend, f)];
    const values = [mine.values[p], theirs.values[f]].map(
      (value, i) => `${value} in ${places[i]!.file} (entry ${places[i]!.entry})`,
    );
    return [
      say(
        `${what} differs in ${counted(differing, 'event')}, first ${places[0]!.key}: ${values.join(', ')}`,
        places,
        differing,
      ),
    ];
  }
  if (
    output.keys.keys.rows !== primary.rowOf.length ||
    (compared === column.compared && differing === column.differing)
  )
    return [];
  return [
    say(
      `${what}: ${counted(compared, 'event')} with ${differing} differing, the receipt says ${column.compared} with ${column.differing}`,
    ),
  ];
}

async function readNumbers({ dataset }: MatchedSource, name: string, signal: AbortSignal): Promise<FlatColumn> {
  const [column] = await readRows(dataset, [name], 0, dataset.descriptor.rows, signal);
  return column as FlatColumn;
}

/** NaN is NaN, and 0 is -0: the quantity is compared, not its bits. */
function unequalBy(left: FlatColumn, right: FlatColumn, tolerance: number): (p: number, f: number) => boolean {
  const [a, b] = [left.values, right.values];
  if (
    a instanceof BigInt64Array ||
    a instanceof BigUint64Array ||
    b instanceof BigInt64Array ||
    b instanceof BigUint64Array
  )
    return (p, f) => BigInt(a[p]!) !== BigInt(b[f]!);
  return (p, f) => {
    const [x, y] = [a[p] as number, b[f] as number];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return false;
    return !(Math.abs(x - y) <= tolerance * Math.max(Math.abs(x), Math.abs(y)));
  };
}

const double = new Float64Array(1);
const bits = new BigUint64Array(double.buffer);

function addToSample({ rows, values }: Sampled, { values: from, valid }: FlatColumn, { rowOf }: MatchedSource): void {
  rows.forEach((row, i) => {
    const at = rowOf[row]!;
    double[0] = valid?.[at] === 0 ? Number.NaN : Number(from[at]);
    values[i] += ` ${bits[0]!.toString(36)}`;
  });
}

function checkPower(friend: MatchedSource, { pairs, agreeing, columns }: ReceiptWitness, sampled: Sampled): Finding[] {
  const events = columns.some(({ hard }) => hard) ? sampled.values : [];
  if (columns.length > 0 && sampled.rows.length === 0 && pairs > 0) return []; // other rows than were written: told already
  const times = new Map<string, number>();
  for (const value of events) times.set(value, (times.get(value) ?? 0) + 1);
  const equal = [...times.values()].reduce((sum, n) => sum + (n * (n - 1)) / 2, 0);
  const all = (events.length * Math.max(0, events.length - 1)) / 2;
  if (all === pairs && equal === agreeing) return [];
  return [
    say(
      `witnesses of source ${friend.label}: ${equal} of ${all} pairs of sampled events agree, the receipt says ${agreeing} of ${pairs}`,
    ),
  ];
}
