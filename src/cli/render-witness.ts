// What a join report says of witness columns: which friends are proved to hold the same events, beside their keys.
import { isWitnessed, type ReceiptWitness } from '../core/receipt.ts';
import { formatCount } from '../core/text.ts';

const percent = (part: number, of: number): string => {
  const share = (100 * part) / of;
  return `${share === 0 || share >= 0.1 ? share.toFixed(1) : '< 0.1'}%`;
};

const chance = ({ pairs, agreeing }: ReceiptWitness): string =>
  agreeing === 0 ? `P < ${(1 / pairs).toExponential(0)}` : `P = ${(agreeing / pairs).toPrecision(2)}`;

export function witnessLines(witness: readonly ReceiptWitness[], dryRun: boolean): string[] {
  if (dryRun) return witness.filter(({ columns }) => columns.length > 0).map(wouldCompare);
  const without = witness.filter(({ columns }) => columns.every(({ hard }) => !hard)).map(({ source }) => source);
  const said = witness.flatMap((each) => [...hardLine(each), ...softLine(each)]);
  if (without.length === 0) return said;
  return [...said, `not witnessed: ${without.join(', ')}: keys alone say that the events are the same`];
}

function wouldCompare({ source, columns }: ReceiptWitness): string {
  const hard = columns.filter((column) => column.hard).map(({ name }) => name);
  return `witness ${source}: would compare ${hard.join(', ') || 'counts alone'}`;
}

function hardLine(witness: ReceiptWitness): string[] {
  const hard = witness.columns.filter((column) => column.hard);
  if (hard.length === 0) return [];
  const events = Math.max(...hard.map(({ compared }) => compared));
  if (events === 0) return [`not witnessed: ${witness.source}: no event in common to compare`];
  const equal = `${hard.map(nameOf).join(', ')} equal in ${formatCount(events)} events`;
  if (isWitnessed(witness))
    return [`witness ${witness.source}: ${equal}; two random events agree with ${chance(witness)}`];
  const why =
    witness.pairs === 0
      ? 'too few events to tell what that proves'
      : `but so are two random events with ${chance(witness)}`;
  return [`not witnessed: ${witness.source}: ${equal}, ${why}`];
}

const nameOf = ({ name, tolerance }: ReceiptWitness['columns'][number]): string =>
  tolerance > 0 ? `${name}~${tolerance}` : name;

function softLine({ source, columns }: ReceiptWitness): string[] {
  const differing = columns.filter((column) => !column.hard && column.differing > 0);
  if (differing.length === 0) return [];
  const shares = differing.map((column) => `${column.name} in ${percent(column.differing, column.compared)}`);
  return [`differs as versions and variations may: ${source}: ${shares.join(', ')} of events`];
}
