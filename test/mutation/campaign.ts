// Owns a campaign: instances of every kind of corruption over every kind of output, and as many outputs that nobody touched.
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDamage } from '../../src/verify/findings.ts';
import { BASES, randomJoin } from './bases.ts';
import { forgeReceipt } from './forge.ts';
import {
  type FileReport,
  makeOutput,
  readTable,
  rowsOf,
  SOURCES,
  type Subject,
  type Table,
  takeRows,
  verify,
  verifyAll,
  writeTable,
} from './harness.ts';
import { JOIN_KINDS } from './join-kinds.ts';
import { type Random, randomOf } from './random.ts';
import { RANDOM_KINDS } from './random-kinds.ts';

export interface CampaignOptions {
  readonly folder: string;
  readonly seed: number;
  /** Instances of each kind. */
  readonly each: number;
  /** Of so many instances one is compared with its sources too. */
  readonly againstEvery: number;
  readonly say: (line: string) => void;
}

export interface KindResult {
  readonly kind: string;
  /** The receipt alone has to tell; else the sources have to. */
  readonly byReceipt: boolean;
  n: number;
  found: number;
  /** Of those compared with the sources. */
  against: number;
  againstFound: number;
  readonly missed: string[];
}

export interface CampaignResult {
  readonly kinds: readonly KindResult[];
  readonly untouched: { readonly n: number; readonly alarms: readonly string[] };
  readonly rewritten: { readonly n: number; readonly alarms: readonly string[] };
}

interface BaseFile extends Subject {
  readonly name: string;
  readonly path: string;
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const bases = await makeBases(options.folder);
  const kinds: KindResult[] = [];
  for (const { name, change, fits, ...kind } of [...RANDOM_KINDS, ...JOIN_KINDS]) {
    const corrupt: Corrupt = async (base, bad, random) => {
      const copy = copyOf(base.table);
      if (!change(copy, random, base)) return false;
      await writeTable(bad, copy);
      if (kind.forged) await forgeReceipt(bad);
      return base.path !== bad;
    };
    const fitting = fits === undefined ? bases : bases.filter((base) => fits(base.options));
    const by = BOTH.filter((prover) => !(prover === 'receipt' ? kind.sourcesOnly : kind.receiptOnly));
    kinds.push(await runKind(name, corrupt, fitting, options, by));
  }
  for (const [name, change] of Object.entries(BYTE_KINDS)) {
    const corrupt: Corrupt = async ({ path }, bad, random) => {
      const bytes = change(
        Uint8Array.from(readFileSync(path)),
        random,
        bases.filter((base) => base.path !== path && extensionOf(base.path) === extensionOf(path)),
      );
      writeFileSync(bad, bytes);
      copyFileSync(`${path}.receipt.json`, `${bad}.receipt.json`);
      return true;
    };
    kinds.push(await runKind(name, corrupt, bases, options, ['receipt']));
  }
  return { kinds, untouched: await runUntouched(options), rewritten: await runRewritten(bases, options) };
}

/** Who has to find a kind: the receipt of the output alone, and the sources without a word of the receipt's findings. */
const BOTH = ['receipt', 'sources'] as const;
type Prover = (typeof BOTH)[number];

export const copyOf = ({ fields, columns, receipt }: Table): Table => ({
  fields: [...fields],
  columns: [...columns],
  receipt,
});

const extensionOf = (path: string): string => (path.endsWith('.arrows') ? 'arrows' : 'parquet');

async function makeBases(folder: string): Promise<BaseFile[]> {
  const bases: BaseFile[] = [];
  for (const [i, { name, options }] of BASES.entries()) {
    for (const [writer, extension] of [
      ['parquet', 'parquet'],
      ['arrow', 'arrows'],
    ] as const) {
      const path = join(folder, `base${i}.${extension}`);
      await makeOutput(path, { ...options, writer });
      const table = await readTable(path);
      bases.push({ name: `${name} (${writer})`, path, options, table, ...(await wholeOf(folder, options)) });
    }
  }
  return bases;
}

/** The join without its selection, for what a skim has left out. */
export async function wholeOf(folder: string, options: Subject['options']): Promise<Pick<Subject, 'whole'>> {
  const { where, ...rest } = options;
  if (where === undefined || rest.mapOnly === true) return {};
  const path = join(folder, 'whole.parquet');
  await makeOutput(path, { ...rest, dedup: false });
  return { whole: await readTable(path) };
}

/** Writes a corrupted copy; false = the kind has no place in this output. */
type Corrupt = (base: BaseFile, bad: string, random: Random) => Promise<boolean>;

async function runKind(
  kind: string,
  corrupt: Corrupt,
  bases: readonly BaseFile[],
  { folder, seed, each, againstEvery, say }: CampaignOptions,
  by: readonly Prover[],
): Promise<KindResult> {
  const result: KindResult = {
    kind,
    byReceipt: by.includes('receipt'),
    n: 0,
    found: 0,
    against: 0,
    againstFound: 0,
    missed: [],
  };
  for (let instance = 0, tries = 0; instance < each && tries < 40 * each; tries++) {
    const own = (seed + tries * 7919 + hashOf(kind)) | 0;
    const random = randomOf(own);
    const base = random.pick(bases);
    const bad = join(folder, `bad.${extensionOf(base.path)}`);
    rmSync(`${bad}.receipt.json`, { force: true });
    if (!(await corrupt(base, bad, random))) continue;
    instance++;
    result.n++;
    const alone = await verify(bad);
    if (by.includes('receipt')) {
      if (isFound(alone)) result.found++;
      else result.missed.push(`seed ${own}: ${kind}, ${base.name}`);
    }
    if (!by.includes('sources') || (by.includes('receipt') && instance % againstEvery !== 0)) continue;
    result.against++;
    const closer = await verify(bad, { against: sourcesOf(base) });
    if (closer.findings.some((found) => isDamage(found) && !alone.findings.some(({ text }) => text === found.text)))
      result.againstFound++;
    else result.missed.push(`seed ${own}: ${kind}, ${base.name}, against the sources`);
  }
  const parts = [
    by.includes('receipt') ? `${result.found} of ${result.n} by the receipt` : '',
    result.against > 0 ? `${result.againstFound} of ${result.against} by the sources` : '',
  ];
  say(`${kind}: ${parts.filter((part) => part !== '').join(', ')}`);
  return result;
}

function sourcesOf({ path }: Pick<BaseFile, 'path'>): string[] {
  const { sources } = JSON.parse(readFileSync(`${path}.receipt.json`, 'utf8')) as {
    sources: { files: { name: string }[] }[];
  };
  const names = new Set(sources.flatMap(({ files }) => files.map(({ name }) => name)));
  return [...names].map((name) => ALL_SOURCES.find((file) => file.endsWith(`/${name}`))!);
}

const ALL_SOURCES = [
  ...new Set([
    ...SOURCES,
    ...BASES.flatMap(({ options }) => options.primary ?? []),
    ...BASES.flatMap(({ options }) => options.friends ?? []).flatMap(({ files }) => files),
  ]),
];

const isFound = ({ verdict }: FileReport): boolean => verdict === 'mixed-or-damaged';

function hashOf(text: string): number {
  let hash = 0;
  for (const char of text) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) | 0;
  return hash;
}

type ByteChange = (bytes: Uint8Array, random: Random, others: readonly BaseFile[]) => Uint8Array;

/** Bytes are changed where a change must show: a file cut short, a stretch overwritten, the file of another join, the receipt. */
const BYTE_KINDS: Readonly<Record<string, ByteChange>> = {
  'the file cut short': (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  'a stretch of noise': (bytes, random) => {
    const start = Math.floor(bytes.length / 4) + random.below(Math.floor(bytes.length / 4));
    for (let i = start; i < start + 4096; i++) bytes[i] = random.below(256);
    return bytes;
  },
  'the output of another join under the name': (_, random, others) => withoutReceipt(random.pick(others).path),
  'a digit of the receipt': (bytes, random) => {
    const text = Buffer.from(bytes);
    const start = text.indexOf('"format":"receipt/1"');
    const digits = [...Array(2000).keys()]
      .map((i) => start + i)
      .filter((i) => /\d/.test(String.fromCharCode(bytes[i]!)));
    const at = random.pick(digits);
    bytes[at] = 48 + ((bytes[at]! - 48 + 1 + random.below(9)) % 10);
    return bytes;
  },
};

/** So that the receipt beside, of the right join, is what it is compared with. */
function withoutReceipt(path: string): Uint8Array {
  const bytes = Uint8Array.from(readFileSync(path));
  const at = Buffer.from(bytes).indexOf('colweave.receipt');
  bytes[at] = 'C'.charCodeAt(0);
  return bytes;
}

async function runUntouched({ folder, seed, each, againstEvery, say }: CampaignOptions) {
  const n = each * (RANDOM_KINDS.length + JOIN_KINDS.length + Object.keys(BYTE_KINDS).length);
  const alarms: string[] = [];
  for (let i = 0; i < n; i++) {
    const own = (seed + 1_000_003 * (i + 1)) | 0;
    const random = randomOf(own);
    const writer = random.pick(['parquet', 'parquet', 'arrow'] as const);
    const inParts = writer === 'parquet' && random.below(4) === 0;
    const path = join(folder, inParts ? 'untouched/' : `untouched.${writer === 'arrow' ? 'arrows' : 'parquet'}`);
    rmSync(path, { recursive: true, force: true });
    const cut = inParts && random.below(2) === 0 ? { eventsPerFile: 20 + random.below(100) } : {};
    const { outputs } = await makeOutput(path, { ...randomJoin(random), ...cut, writer });
    const [first] = outputs;
    const against = i % againstEvery === 0 && first !== undefined ? sourcesOf(first) : [];
    for (const { path: part, verdict, findings } of await verifyAll(path, { against })) {
      if (verdict === 'verified' && findings.length === 0) continue;
      const said = findings.map(({ code, text }) => `${code}: ${text}`).join('; ');
      alarms.push(`seed ${own}: ${inParts ? part : ''} ${said}`);
    }
  }
  say(`${alarms.length} alarms over ${n} untouched outputs`);
  return { n, alarms };
}

/** The same content in other bytes, columns or rows in another order: no damage. */
async function runRewritten(bases: readonly BaseFile[], { folder, seed, each, say }: CampaignOptions) {
  const alarms: string[] = [];
  const n = each * 4;
  for (let i = 0; i < n; i++) {
    const own = (seed + 65_537 * (i + 1)) | 0;
    const random = randomOf(own);
    const { table, path, name } = random.pick(bases);
    const again = join(folder, `again.${extensionOf(path)}`);
    const order = random.shuffled(table.fields.map((_, k) => k));
    const copy: Table = {
      fields: order.map((k) => table.fields[k]!),
      columns: order.map((k) => table.columns[k]!),
      receipt: table.receipt,
    };
    if (i % 2 === 0) takeRows(copy, random.shuffled(rowsOf(copy)));
    await writeTable(again, copy, random.pick(['zstd', 'snappy', 'none'] as const));
    const { findings } = await verify(again);
    if (findings.some(isDamage)) alarms.push(`seed ${own}: ${name}: ${findings.map(({ text }) => text).join('; ')}`);
  }
  say(`${alarms.length} alarms over ${n} outputs written again with equal content`);
  return { n, alarms };
}
