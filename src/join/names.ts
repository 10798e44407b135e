// Owns what output columns are called: the label's place, collections of a friend's own, renames. Options decide, never other friends.
import { ColweaveError } from '../core/errors.ts';
import type { Field, Schema } from '../core/schema.ts';
import { nearestNames } from '../core/text.ts';

export interface Naming {
  /** Names of labelled payload; absent = `{name}_{label}`. */
  readonly pattern?: string;
  /** Old output name and new one, in the order given. */
  readonly renames?: readonly (readonly [from: string, to: string])[];
  /** Labels of friends whose lists are collections of their own: `LABELJet_pt` beside `nLABELJet`. */
  readonly ownCollections?: readonly string[];
}

const DEFAULT_PATTERN = '{name}_{label}';

/** Errors: usage/bad-option for a pattern, a label or a rename that cannot work. */
export function checkNaming({ pattern, renames = [], ownCollections = [] }: Naming, labels: readonly string[]): void {
  if (pattern !== undefined && !isPattern(pattern)) {
    throw new ColweaveError('usage/bad-option', `--name "${pattern}" is no pattern of names`, {
      hint: "{name} and {label} once each, with letters, digits and _ around them: '{label}_{name}'",
    });
  }
  for (const label of ownCollections) {
    if (!labels.includes(label)) {
      throw new ColweaveError('usage/bad-option', `--own-collections ${label}: no source has this label`, {
        near: nearestNames(label, labels),
        hint: 'name the label of a --with',
      });
    }
    if (label.includes('_')) {
      throw new ColweaveError(
        'usage/bad-option',
        `--own-collections ${label}: a label with _ ends the name of a collection too early`,
        {
          hint: `${label}Jet_pt would be read as a column of "${label.split('_')[0]}": use a label without _`,
        },
      );
    }
  }
  const twice = renames.find(([from, to], i) =>
    renames.some((other, k) => k < i && (other[0] === from || other[1] === to)),
  );
  if (twice !== undefined)
    throw new ColweaveError('usage/bad-option', `--rename ${twice.join('=')}: a name is given twice`);
}

function isPattern(pattern: string): boolean {
  const count = (part: string) => pattern.split(part).length - 1;
  return count('{name}') === 1 && count('{label}') === 1 && /^\w*$/.test(pattern.replace(/\{(name|label)\}/g, ''));
}

/** The output name of a source's column, before renames. */
export function nameIn(field: Field, schema: Schema, label: string | undefined, naming: Naming): string {
  if (label === undefined) return field.name;
  if (naming.ownCollections?.includes(label)) {
    if (isCollectionList(field)) return label + field.name;
    if (countsCollection(field, schema)) return `n${label}${field.name.slice(1)}`;
  }
  // replacers: a name with $ in it is no pattern
  return (naming.pattern ?? DEFAULT_PATTERN).replace('{label}', () => label).replace('{name}', () => field.name);
}

const isCollectionList = ({ name, type }: Field): boolean =>
  type.kind === 'list' && type.size === undefined && /^[^_]+_./.test(name);

/** `nJet` where there are lists Jet_*. */
function countsCollection({ name, type }: Field, { fields }: Schema): boolean {
  if (type.kind !== 'flat' || !/^n./.test(name)) return false;
  return fields.some((other) => isCollectionList(other) && other.name.startsWith(`${name.slice(1)}_`));
}

/** Errors: source/no-column for a name that is not there, usage/bad-option for a key. */
export function renamer(
  { renames = [] }: Naming,
  names: readonly string[],
  keys: readonly string[],
): (name: string) => string {
  const to = new Map(renames);
  for (const old of to.keys()) {
    if (keys.includes(old)) {
      throw new ColweaveError('usage/bad-option', `--rename ${old}: key columns keep their names`);
    }
    if (names.includes(old)) continue;
    throw new ColweaveError('source/no-column', `--rename: no column "${old}"`, {
      near: nearestNames(old, names),
      hint: 'list the columns of the output with --dry-run',
    });
  }
  return (name) => to.get(name) ?? name;
}
