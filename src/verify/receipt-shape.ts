// Owns reading a receipt that somebody may have edited: its shape first, then whether it agrees with itself.
import {
  canonicalJson,
  RECEIPT_FORMAT,
  type Receipt,
  type ReceiptColumn,
  type ReceiptSource,
  receiptDigest,
} from '../core/receipt.ts';
import { type Finding, finding, named } from './findings.ts';
import { expandLumis, totalEvents } from './lumi.ts';

/** A receipt whose fields have the right types, and what is wrong with what they say. */
export interface ReadReceipt {
  readonly receipt: Receipt | undefined;
  readonly findings: readonly Finding[];
}

const SEAL = /^[0-9a-f]{32}$/;
const SHA256 = /^[0-9a-f]{64}$/;

export function readReceipt(text: string): ReadReceipt {
  const parsed = parse(text);
  const wrong = parsed === undefined ? 'it is not JSON' : wrongShape(parsed);
  if (wrong !== undefined) return { receipt: undefined, findings: [edited(wrong)] };
  const receipt = parsed as Receipt;
  const faults = [...wrongCounts(receipt), ...wrongSeals(receipt), ...wrongWitness(receipt)];
  if (receipt.sha256 !== undefined && receipt.sha256 !== receiptDigest(receipt))
    faults.unshift('it does not have its own sha256');
  if (canonicalJson(receipt) !== text.trimEnd()) faults.unshift('its text is not canonical: it was written by hand');
  return { receipt, findings: faults.map(edited) };
}

function edited(what: string): Finding {
  return finding('verify/receipt-edited', `the receipt is not as colweave wrote it: ${what}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type Check = (value: unknown) => boolean;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber: Check = (value) => typeof value === 'number' && value >= 0;
const isFlag: Check = (value) => typeof value === 'boolean';
const isText: Check = (value) => typeof value === 'string';
const isSeal: Check = (value) => typeof value === 'string' && SEAL.test(value);
const isHash: Check = (value) => typeof value === 'string' && SHA256.test(value);
const isObject: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
/** The first field that fails is remembered, to be named. */
const shape =
  (fields: Readonly<Record<string, Check>>, fail: (name: string) => void): Check =>
  (value) =>
    isObject(value) &&
    Object.entries(fields).every(([name, check]) => {
      const good = check((value as Record<string, unknown>)[name]);
      if (!good) fail(name);
      return good;
    });

function wrongShape(value: unknown): string | undefined {
  const path: string[] = [];
  const fail = (name: string) => path.unshift(name);
  const column = shape(
    {
      name: isText,
      type: isText,
      present: isCount,
      seal: isSeal,
      filled: optional(isCount),
      from: optional(isText),
      title: optional(isText),
    },
    fail,
  );
  const identity = shape({ size: isCount, id: isText, entries: isCount, tree: optional(isText) }, fail);
  const file = shape({ name: isText, identity, rows: isCount }, fail);
  const overlap = shape({ kept: isText, dropped: isText, rows: isCount }, fail);
  const part = shape({ source: isCount, start: isCount, end: isCount }, fail);
  const step = shape({ process: isText, release: isText, config: isText }, fail);
  const ancestry = shape(
    {
      files: isCount,
      histories: listOf(listOf(step)),
      weights: optional(isObject),
      parents: optional(listOf(shape({ name: isText, id: isText }, fail))),
    },
    fail,
  );
  const source = shape(
    {
      label: isText,
      files: listOf(file),
      rows: isCount,
      keySeal: isSeal,
      matched: isCount,
      unmatched: isCount,
      duplicates: isCount,
      columns: listOf(column),
      dropped: listOf(isText),
      equal: optional(listOf(shape({ name: isText, from: isText, column: isText }, fail))),
      overlaps: optional(listOf(overlap)),
      ancestry: optional(ancestry),
    },
    fail,
  );
  const rowGroup = shape({ rows: isCount, sha256: isHash }, fail);
  const output = shape(
    { rows: isCount, keySeal: isSeal, columns: listOf(column), rowGroups: listOf(rowGroup), order: optional(isSeal) },
    fail,
  );
  const term = shape({ term: isText, rows: isCount }, fail);
  const selection = shape({ where: isText, rows: isCount, terms: listOf(term) }, fail);
  const witnessColumn = shape(
    { name: isText, from: isText, compared: isCount, differing: isCount, tolerance: isNumber, hard: isFlag },
    fail,
  );
  const witness = shape({ source: isText, columns: listOf(witnessColumn), pairs: isCount, agreeing: isCount }, fail);
  const run: Check = (item) => Array.isArray(item) && isText(item[0]) && listOf(stretch)(item[1]);
  const stretch: Check = (item) => Array.isArray(item) && item.length === 3 && item.every(isCount);
  const format: Check = (item) => item === RECEIPT_FORMAT;
  const whole = shape(
    {
      format,
      tool: isText,
      spec: shape({ how: isText, on: listOf(isText) }, fail),
      sources: listOf(source),
      output,
      lumis: shape({ in: listOf(run), out: listOf(run) }, fail),
      witness: optional(listOf(witness)),
      policies: isObject,
      selection: optional(selection),
      part: optional(part),
      sha256: optional(isHash),
    },
    fail,
  );
  if (whole(value)) return undefined;
  return path.length === 0 ? 'it is no receipt' : `"${path.join('.')}" is absent or of another kind`;
}

function wrongCounts({ sources, output, lumis, selection }: Receipt): string[] {
  const faults: string[] = [];
  const say = (right: boolean, text: string) => {
    if (!right) faults.push(text);
  };
  const groupRows = output.rowGroups.reduce((sum, group) => sum + group.rows, 0);
  say(groupRows === output.rows, `${output.rows} rows, but ${groupRows} in its row groups`);
  for (const source of sources) {
    const { label, rows, matched, unmatched, files } = source;
    const inFiles = files.reduce((sum, file) => sum + file.rows, 0);
    say(rows === inFiles, `source ${label} has ${rows} rows, but ${inFiles} in its files`);
    say(
      rows === matched + unmatched,
      `source ${label} has ${rows} rows, but ${matched} + ${unmatched} with and without a match`,
    );
    const { duplicates, overlaps = [] } = source;
    const inPairs = overlaps.reduce((sum, pair) => sum + pair.rows, 0);
    say(duplicates === inPairs, `source ${label} left out ${duplicates} rows, but ${inPairs} by pairs of datasets`);
    for (const file of files)
      say(
        file.rows === file.identity.entries,
        `file ${file.name} has ${file.rows} rows and ${file.identity.entries} entries`,
      );
  }
  if (selection !== undefined) {
    const flow = [selection.rows, ...selection.terms.map(({ rows }) => rows)];
    say(selection.rows === sources[0]?.rows, `the cut flow begins with ${selection.rows} of ${sources[0]?.rows} rows`);
    say(
      flow.every((rows, i) => i === 0 || rows <= flow[i - 1]!),
      'the cut flow grows',
    );
    say(
      (sources[0]?.matched ?? 0) <= flow.at(-1)!,
      `${sources[0]?.matched} events of ${flow.at(-1)} that the cut flow leaves`,
    );
  }
  for (const column of output.columns)
    say(column.present <= output.rows, `column ${column.name} has ${column.present} values in ${output.rows} rows`);
  for (const [name, ranges, rows] of [
    ['out', lumis.out, output.rows],
    ['in', lumis.in, sources[0]?.rows ?? 0],
  ] as const) {
    if (ranges.length === 0) continue;
    const events = expandLumis(ranges, rows);
    const total = events === undefined ? 'too many blocks' : totalEvents(events);
    say(total === rows, `the lumi table (${name}) holds ${total} events for ${rows} rows`);
  }
  return faults;
}

/** What a source says of a column that it moved whole, the output says too. */
function wrongSeals({ sources, output }: Receipt): string[] {
  const written = new Map(output.columns.map((column) => [column.name, column]));
  const twice = output.columns.length - written.size;
  const faults = twice > 0 ? [`${twice} columns are named twice`] : [];
  for (const source of sources) {
    const gone = (source.equal ?? []).filter(({ name, column }) => written.has(name) || !written.has(column));
    if (gone.length > 0)
      faults.push(
        `source ${source.label} says ${named(gone.map(({ name }) => name))} stored once, which the output does not`,
      );
    const bad = source.columns.filter((column) => !agrees(column, written.get(column.name)));
    if (bad.length > 0) {
      const names = named(bad.map(({ name }) => name));
      faults.push(`source ${source.label} and the output state different seals, counts, types or titles for ${names}`);
    }
  }
  const whole = sources.filter(
    (source) => source.matched === output.rows && source.unmatched === 0 && !repeats(source),
  );
  for (const { label, keySeal } of whole)
    if (keySeal !== output.keySeal)
      faults.push(`all events of source ${label} are in the output, but the key seals differ`);
  return faults;
}

/** A join that met an unequal witness published nothing. */
function wrongWitness({ witness = [], sources }: Receipt): string[] {
  return witness.flatMap(({ source, columns }) => {
    const matched = sources.find(({ label }) => label === source)?.matched ?? 0;
    return columns
      .filter(({ hard, compared, differing }) => (hard && differing > 0) || differing > compared || compared > matched)
      .map(({ name }) => `witness ${name} of source ${source}: the counts cannot be`);
  });
}

function repeats({ duplicates }: ReceiptSource): boolean {
  return duplicates > 0;
}

function agrees(source: ReceiptColumn, output: ReceiptColumn | undefined): boolean {
  if (output === undefined || output.type !== source.type) return false;
  const filled = output.filled ?? 0;
  if (source.present + filled !== output.present || source.title !== output.title) return false;
  return filled > 0 || source.seal === output.seal;
}
