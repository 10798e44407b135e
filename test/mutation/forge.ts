// Owns a receipt that was made to agree with a corrupted file, as somebody would who wants to deceive: only the sources can tell.
import { type Receipt, receiptText } from '../../src/core/receipt.ts';
import { typeName } from '../../src/core/schema.ts';
import { sealHex } from '../../src/core/seal.ts';
import { countLumis, lumiRanges } from '../../src/join/lumis.ts';
import { readKeys } from '../../src/keys/read.ts';
import { keySpecFor } from '../../src/keys/spec.ts';
import { openSource } from '../../src/source/registry.ts';
import { checkBlocks } from '../../src/verify/check-blocks.ts';
import { datasetOf } from '../../src/verify/output-file.ts';
import { startSchedule } from '../../src/verify/schedule.ts';
import { workHere } from '../../src/verify/work.ts';
import { readTable, writeTable } from './harness.ts';

/** For outputs that hold whole rows of their sources: every seal and count is what a join of these rows would have written. */
export async function forgeReceipt(path: string): Promise<void> {
  const table = await readTable(path);
  const receipt = JSON.parse(table.receipt!) as Receipt;
  const { signal } = new AbortController();
  const file = await openSource(path, {});
  const { rows, schema } = file.descriptor;
  const keys = await readKeys(datasetOf(file), keySpecFor((receipt.spec.on as string[]).join(','), schema, [path]));
  const place = { work: workHere(file, signal), schedule: startSchedule(1), signal };
  const wanted = { file, spec: keys.spec, keys, flags: new Map(), hashes: false, fill: undefined, sources: [] };
  const { seals } = await checkBlocks(place, wanted);
  await place.work.close();
  await file.close();
  const columns = schema.fields.map(({ name, type }) => {
    const { present } = seals.columns.get(name)!;
    return { name, type: typeName(type), present, seal: sealHex(seals.columns.get(name)!) };
  });
  const written = new Map(columns.map((column) => [column.name, column]));
  const lumis = new Map();
  countLumis(lumis, keys);
  const sources = receipt.sources.map((source, s) => {
    const flag = table.columns[table.fields.findIndex(({ name }) => name === `${source.label}_missing`)];
    const absent =
      s === 0 || flag?.kind !== 'flat' ? 0 : [...flag.values].filter((value) => Number(value) !== 0).length;
    const matched = rows - absent;
    const own = source.columns.map(({ from, name }) => ({
      ...written.get(name)!,
      ...(from === undefined ? {} : { from }),
    }));
    return { ...source, matched, unmatched: source.rows - matched, columns: own };
  });
  const rowGroups = [{ rows, sha256: '0'.repeat(64) }]; // other bytes alone are a file written again
  const output = {
    ...receipt.output,
    rows,
    keySeal: sealHex(seals.keys),
    order: sealHex(seals.order),
    columns,
    rowGroups,
  };
  const forged: Receipt = { ...receipt, sources, output, lumis: { ...receipt.lumis, out: lumiRanges(lumis) } };
  await writeTable(path, { ...table, receipt: receiptText(forged) });
}
