// Owns the words of a --where expression: numbers, names, operators, each with its place in the text.
import { ColweaveError } from '../errors.ts';

/** Characters at .. end (exclusive) of the expression. */
export interface Place {
  readonly at: number;
  readonly end: number;
}

export type Token = Place &
  (
    | { readonly kind: 'integer'; readonly value: bigint }
    | { readonly kind: 'float'; readonly value: number }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'operator'; readonly text: string }
    | { readonly kind: 'end' }
  );

const OPERATORS = ['<=', '>=', '==', '!=', '&&', '||', '<', '>', '+', '-', '*', '/', '%', '(', ')', '!', ','];
/** A column of any name stands between backquotes; dots and colons occur in ATLAS names. */
const NAME = /[A-Za-z_]\w*(?:[.:]+\w+)*/y;
const QUOTED = /`([^`]+)`/y;
const NUMBER = /0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;

/** What people write who come from another language, and how it is written here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  '=': 'equality is ==',
  '&': 'and is "and" or &&',
  '|': 'or is "or" or ||',
  '~': 'not is "not" or !',
  '^': 'there is no power and no exclusive or: write x*x, or a != b',
  '[': 'objects are not picked by number: any(...), all(...), count(...), max(...) look at all of them',
};

/** Errors: where/expression, with the place. */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    while (/\s/.test(text[at] ?? '')) at++;
    if (at >= text.length) break;
    const token = tokenAt(text, at);
    tokens.push(token);
    at = token.end;
  }
  return [...tokens, { kind: 'end', at: text.length, end: text.length }];
}

function tokenAt(text: string, at: number): Token {
  const quoted = matchAt(QUOTED, text, at);
  if (quoted !== undefined) return { kind: 'name', name: quoted.slice(1, -1), at, end: at + quoted.length };
  const number = matchAt(NUMBER, text, at);
  if (number !== undefined) return numberToken(text, at, number);
  const name = matchAt(NAME, text, at);
  if (name !== undefined) return { kind: 'name', name, at, end: at + name.length };
  const operator = OPERATORS.find((word) => text.startsWith(word, at));
  if (operator !== undefined) return { kind: 'operator', text: operator, at, end: at + operator.length };
  const hint = ELSEWHERE[text[at]!];
  throw badExpression(
    text,
    { at, end: at + 1 },
    `"${text[at]}" means nothing here`,
    hint === undefined ? {} : { hint },
  );
}

function numberToken(text: string, at: number, digits: string): Token {
  const end = at + digits.length;
  if (/\w/.test(text[end] ?? '')) {
    throw badExpression(text, { at, end: end + 1 }, 'a number runs into a name', {
      hint: 'a column whose name begins with a digit stands between backquotes',
    });
  }
  if (/^(0[xX]|\d+$)/.test(digits)) return { kind: 'integer', value: BigInt(digits), at, end };
  const value = Number(digits);
  if (!Number.isFinite(value)) throw badExpression(text, { at, end }, 'the number is too large for a float');
  return { kind: 'float', value, at, end };
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** where/expression, with the expression and a line of carets under the place. */
export function badExpression(
  text: string,
  { at, end }: Place,
  message: string,
  detail: { readonly hint?: string; readonly near?: readonly string[] } = {},
): ColweaveError {
  const carets = `${' '.repeat(at)}${'^'.repeat(Math.max(1, end - at))}`;
  return new ColweaveError('where/expression', `--where: ${message}`, {
    ...detail,
    details: [text.replace(/\s/g, ' '), carets],
  });
}
