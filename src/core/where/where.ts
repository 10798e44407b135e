// Owns a whole --where: parsed, checked against a schema, cut into the terms of its cut flow.
import type { Schema } from '../schema.ts';
import { type Checked, checkTerm } from './check.ts';
import { parseWhere, termsOf } from './parse.ts';

export interface Term {
  /** As written. */
  readonly text: string;
  readonly node: Checked;
  /** The columns it asks. */
  readonly columns: readonly string[];
}

export interface Where {
  readonly text: string;
  readonly terms: readonly Term[];
}

type Unreadable = readonly { readonly name: string; readonly type: string; readonly reason: string }[];

/** Errors: where/expression, with the place in the text. */
export function compileWhere(text: string, schema: Schema, unreadable: Unreadable = []): Where {
  const terms = termsOf(parseWhere(text)).map((node): Term => {
    const checked = checkTerm(node, { text, schema, unreadable });
    return { text: text.slice(node.at, node.end), node: checked, columns: [...new Set(columnsOf(checked))] };
  });
  return { text, terms };
}

function columnsOf(node: Checked): string[] {
  switch (node.kind) {
    case 'constant':
      return [];
    case 'column':
      return [node.name];
    case 'not':
    case 'minus':
    case 'call':
      return columnsOf(node.of);
    default:
      return [...columnsOf(node.left), ...columnsOf(node.right)];
  }
}
