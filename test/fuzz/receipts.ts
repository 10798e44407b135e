// Owns receipts as a subject: a changed text beside an output that is right must be found out, and never break verify.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeOutput, readTable, verify, writeTable } from '../mutation/harness.ts';
import { GENERIC_MUTATIONS, type Mutation } from './mutate.ts';
import type { Reading } from './observe.ts';
import type { Subject } from './subjects.ts';

/** One value of the JSON becomes another of any type. */
const values: Mutation = ({ bytes, random }) => {
  const receipt: unknown = JSON.parse(bytes.toString());
  const places: (readonly [object: { [key: string]: unknown }, key: string])[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      places.push([value as { [key: string]: unknown }, key]);
      walk(inner);
    }
  };
  walk(receipt);
  const [object, key] = random.pick(places);
  const others = [null, 0, -1, 2 ** 53, 1e300, '', 'x', [], {}, [[]], true, '__proto__', 0.5, [null], { length: 1e9 }];
  if (random.once(3)) delete object[key];
  else object[key] = random.pick(others);
  return { bytes: Buffer.from(JSON.stringify(receipt)) };
};

export async function receiptSubjects(): Promise<readonly Subject[]> {
  const folder = mkdtempSync(join(tmpdir(), 'colweave-fuzz-receipt-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const written = join(folder, 'written.parquet');
  await makeOutput(written);
  const table = await readTable(written);
  const text = table.receipt!;
  const bare = join(folder, 'out.parquet');
  await writeTable(bare, { ...table, receipt: undefined });
  const read = async (bytes: Buffer): Promise<Reading> => {
    const receipt = join(folder, 'receipt.json');
    writeFileSync(receipt, bytes);
    const report = await verify(bare, { receipt });
    // a file rewritten by another tool has other bytes, and that is all that may be said of the untouched one
    const codes = report.findings.map(({ code }) => code).filter((code) => code !== 'verify/rewritten');
    if (report.verdict === 'mixed-or-damaged') return { error: codes[0]!, columns: new Map(), errors: [], refused: [] };
    const same = bytes.toString().trimEnd() === text.trimEnd();
    return {
      columns: new Map([['verdict', same ? 'accepted' : 'a changed receipt was accepted']]),
      errors: [],
      refused: [],
    };
  };
  const bytes = Buffer.from(text);
  return [
    {
      name: 'receipt/join',
      reader: 'receipt',
      bytes,
      mutations: { ...GENERIC_MUTATIONS, value: values },
      read,
      guarded: [{ start: 0, end: bytes.length }],
      weight: 0.5,
    },
  ];
}
