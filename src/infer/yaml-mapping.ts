// Owns strict reading of YAML mappings: every key is known, every value has its kind; else an error with line and nearest name.
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';

/** A value and where it stands. Functions of this file check its kind. */
export interface Placed {
  readonly node: Node | null;
  readonly at: number;
  /** `inputs.X`: how messages name it. */
  readonly path: string;
  readonly file: YamlFile;
}

export interface YamlFile {
  readonly name: string;
  readonly lines: LineCounter;
  readonly resolve: (node: Node | null) => Node | null;
}

/** Errors: usage/bad-model. */
export function parseYaml(name: string, text: string): Placed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const resolve = (node: Node | null): Node | null => (isAlias(node) ? (node.resolve(document) ?? null) : node);
  const file = { name, lines, resolve };
  const top = { node: document.contents as Node | null, at: 0, path: '', file };
  const [fault] = [...document.errors, ...document.warnings];
  if (fault === undefined) return top;
  throw bad({ ...top, at: fault.pos[0] }, `it is no YAML: ${fault.message.split('\n')[0]!.replace(/\.$/, '')}`);
}

export function bad({ file, at }: Placed, message: string, detail: { near?: string[]; hint?: string } = {}) {
  const where = [file.name, `line ${file.lines.linePos(at).line}`];
  return new ColweaveError('usage/bad-model', message, { where, ...detail });
}

const named = ({ path }: Placed): string => (path === '' ? 'the model file' : `"${path}"`);

export function isMapping({ node }: Placed): boolean {
  return isMap(node);
}

/** The values by key. `known`: the keys there may be; absent = any. */
export function mapping(value: Placed, known?: readonly string[]): ReadonlyMap<string, Placed> {
  const { node, file } = value;
  if (!isMap(node)) throw bad(value, `${named(value)} is no mapping of names to values`);
  const found = new Map<string, Placed>();
  for (const { key, value: item } of (node as YAMLMap<Node, Node | null>).items) {
    const at = (key as Node).range?.[0] ?? value.at;
    const name = isScalar(key) ? scalarText(key) : '';
    const path = value.path === '' ? name : `${value.path}.${name}`;
    const placed = { node: file.resolve(item), at, path, file };
    if (known !== undefined && !known.includes(name)) {
      const where = value.path === '' ? '' : ` of ${value.path}`;
      throw bad(placed, `unknown key "${name}"${where}`, {
        near: nearestNames(name, known),
        hint: `the keys are ${known.join(', ')}`,
      });
    }
    found.set(name, placed);
  }
  return found;
}

/** One value, or a list of them. */
export function items(value: Placed): readonly Placed[] {
  const { node, file } = value;
  if (!isSeq(node)) return [value];
  return node.items.map((item, i) => {
    const own = item as Node | null;
    return { node: file.resolve(own), at: own?.range?.[0] ?? value.at, path: `${value.path}[${i}]`, file };
  });
}

/** As it is written: `1` and `1e3` are words here. */
export function text(value: Placed): string {
  const { node } = value;
  const word = isScalar(node) && node.value !== null ? scalarText(node) : '';
  if (word === '') throw bad(value, `${named(value)} is no word`);
  return word;
}

function scalarText(scalar: { readonly value: unknown; readonly source?: string }): string {
  return typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? String(scalar.value));
}

export function oneOf<Name extends string>(value: Placed, names: readonly Name[]): Name {
  const { node } = value;
  // `null` may be one of the words, and is none to YAML
  const word = isScalar(node) && node.value === null && node.source !== '' ? scalarText(node) : text(value);
  const found = names.find((name) => name === word);
  if (found !== undefined) return found;
  throw bad(value, `${named(value)} cannot be "${word}"`, {
    near: nearestNames(word, names, 1),
    hint: `allowed are ${names.join(', ')}`,
  });
}

export function number(value: Placed): number {
  const { node } = value;
  if (!isScalar(node) || typeof node.value !== 'number' || Number.isNaN(node.value))
    throw bad(value, `${named(value)} is no number`);
  return node.value;
}

/** A whole number from `low`. */
export function count(value: Placed, low = 1): number {
  const found = number(value);
  if (!Number.isInteger(found) || found < low || found > 2 ** 31 - 1)
    throw bad(value, `${named(value)} is no whole number from ${low}`);
  return found;
}

export function flag(value: Placed): boolean {
  const said = isScalar(value.node) ? value.node.value : undefined;
  if (typeof said !== 'boolean') throw bad(value, `${named(value)} is true or false`);
  return said;
}
