// Owns what tells samples and variations apart beside values: titles of weights, and where the files say their events come from.
import { type Ancestry, type History, historyText } from '../core/ancestry.ts';
import { canonicalJson, type Receipt } from '../core/receipt.ts';
import { fieldNamed } from '../core/schema.ts';
import { readAncestry } from '../source/ancestry.ts';
import type { SourceFile } from '../source/types.ts';
import type { GivenSource } from './find-sources.ts';
import { type Finding, finding, named } from './findings.ts';

/** Titles that the file has, against those of the receipt. Tools that drop them all change no meaning. */
export function checkTitles({ descriptor }: SourceFile, { output }: Receipt): readonly Finding[] {
  return output.columns.flatMap(({ name, title }) => {
    const now = fieldNamed(descriptor.schema, name)?.doc;
    return title === undefined || now === undefined || now === '' || now === title
      ? []
      : [otherTitle(name, `"${now}"`, title)];
  });
}

function otherTitle(name: string, now: string, title: string): Finding {
  return finding('verify/title-differs', `${name} is titled ${now}, and was joined as "${title}"`, {
    columns: [name],
  });
}

/** Titles and origins of the sources that were given, against what the receipt says of them. */
export async function checkIdentity(
  sources: readonly GivenSource[],
  receipt: Receipt,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { index, label, dataset, columns } of sources) {
    const stated = receipt.sources[index]!;
    for (const { name, title } of stated.columns) {
      const now = fieldNamed(dataset.descriptor.schema, columns.get(name) ?? name)?.doc;
      if (title === undefined || now === undefined || now === '' || now === title) continue;
      findings.push(otherTitle(name, `"${now}" in source ${label}`, title));
    }
    if (stated.ancestry === undefined) continue; // older receipts state none
    const now = await readAncestry(dataset, signal);
    const text = differenceOf(stated.ancestry, now);
    if (text !== undefined) findings.push(finding('verify/ancestry-differs', `source ${label}: ${text}`));
  }
  return findings;
}

/** The same files may be looked at in other numbers, as on a server: then only what both know is compared. */
function differenceOf(stated: Ancestry, now: Ancestry | undefined): string | undefined {
  if (now === undefined) return 'its files say nothing of where their events come from, the receipt does';
  const [few, many] = stated.files <= now.files ? [stated, now] : [now, stated];
  const known = new Set(many.histories.map((history) => canonicalJson(history)));
  const strange = few.histories.filter((history) => !known.has(canonicalJson(history)));
  const fewer = few.files === many.files && few.histories.length !== many.histories.length;
  if (strange.length > 0 || fewer)
    return `its files were processed by ${stepsOf(now.histories)}, the receipt says ${stepsOf(stated.histories)}`;
  if (few.files !== many.files) return undefined;
  if (canonicalJson(stated.weights ?? null) !== canonicalJson(now.weights ?? null))
    return `its files were made of ${now.weights?.count ?? 0} generated events with weights of ${now.weights?.sumw ?? 0}, the receipt says ${stated.weights?.count ?? 0} with ${stated.weights?.sumw ?? 0}`;
  if (canonicalJson(stated.parents ?? []) !== canonicalJson(now.parents ?? []))
    return `its files were joined from ${namesOf(now)}, the receipt says ${namesOf(stated)}`;
  return undefined;
}

const stepsOf = (histories: readonly History[]): string => {
  const texts = histories.map(
    (history) => `${historyText(history)} (${history.map(({ config }) => config.slice(0, 4)).join(' ')})`,
  );
  return texts.length === 0 ? 'nothing that is known' : texts.join(' or ');
};

const namesOf = ({ parents = [] }: Ancestry): string =>
  named(parents.map(({ name, id }) => `${name} (${id.slice(0, 8)})`)) || 'nothing';
