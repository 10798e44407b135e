// Owns the grammar of --where: or, and, not, one comparison, sums, products, unary minus and !, calls, columns, numbers.
import { badExpression, type Place, type Token, tokensOf } from './tokens.ts';

export const COMPARISONS = ['<', '<=', '>', '>=', '==', '!='] as const;
export type Comparison = (typeof COMPARISONS)[number];
export const ARITHMETIC = ['+', '-', '*', '/', '%'] as const;
export type Arithmetic = (typeof ARITHMETIC)[number];
export type Logic = 'and' | 'or';
export const FUNCTIONS = ['any', 'all', 'count', 'sum', 'min', 'max', 'len', 'n', 'abs'] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

export type Node = Place &
  (
    | { readonly kind: 'integer'; readonly value: bigint }
    | { readonly kind: 'float'; readonly value: number }
    | { readonly kind: 'truth'; readonly value: boolean }
    | { readonly kind: 'column'; readonly name: string }
    | { readonly kind: 'not'; readonly of: Node }
    | { readonly kind: 'minus'; readonly of: Node }
    | { readonly kind: 'compare'; readonly op: Comparison; readonly left: Node; readonly right: Node }
    | { readonly kind: 'arithmetic'; readonly op: Arithmetic; readonly left: Node; readonly right: Node }
    | { readonly kind: 'logic'; readonly op: Logic; readonly left: Node; readonly right: Node }
    | { readonly kind: 'call'; readonly name: FunctionName; readonly of: Node }
  );

/** Deeper than anybody writes: a hostile expression must not end in a stack overflow. */
const DEPTH_MAX = 100;
const EXPRESSION_MAX = 10_000;
const TRUTH: Readonly<Record<string, boolean>> = { true: true, True: true, false: false, False: false };
const WORDS = ['and', 'or', 'not'];

interface Parser {
  readonly text: string;
  readonly tokens: readonly Token[];
  next: number;
  depth: number;
}

/** Errors: where/expression, with the place. */
export function parseWhere(text: string): Node {
  if (text.length > EXPRESSION_MAX) {
    throw badExpression(
      text.slice(0, 60),
      { at: 0, end: 1 },
      `the expression is longer than ${EXPRESSION_MAX} letters`,
    );
  }
  const parser: Parser = { text, tokens: tokensOf(text), next: 0, depth: 0 };
  const node = parseOr(parser);
  const token = peek(parser);
  if (token.kind !== 'end') throw unexpected(parser, token);
  return node;
}

const peek = ({ tokens, next }: Parser): Token => tokens[next]!;

/** Takes the next token if it is one of these words or operators. */
function accept<Word extends string>(parser: Parser, words: readonly Word[]): Word | undefined {
  const token = peek(parser);
  const text = token.kind === 'operator' ? token.text : wordOf(parser, token);
  const word = words.find((each) => each === text);
  if (word !== undefined) parser.next++;
  return word;
}

/** A bare name; between backquotes any word is a column. */
function wordOf({ text }: Parser, token: Token): string | undefined {
  return token.kind === 'name' && text[token.at] !== '`' ? token.name : undefined;
}

function unexpected({ text }: Parser, token: Token): Error {
  if (token.kind === 'end') return badExpression(text, token, 'the expression ends too early');
  return badExpression(text, token, `"${text.slice(token.at, token.end)}" is not expected here`);
}

function parseOr(parser: Parser): Node {
  return chain(parser, ['or', '||'], parseAnd, 'or');
}

function parseAnd(parser: Parser): Node {
  return chain(parser, ['and', '&&'], parseNot, 'and');
}

function chain(parser: Parser, words: readonly string[], operand: (parser: Parser) => Node, op: Logic): Node {
  let left = operand(parser);
  while (accept(parser, words) !== undefined) {
    const right = operand(parser);
    left = { kind: 'logic', op, left, right, at: left.at, end: right.end };
  }
  return left;
}

function parseNot(parser: Parser): Node {
  const { at } = peek(parser);
  if (accept(parser, ['not']) === undefined) return parseComparison(parser);
  const of = deeper(parser, parseNot);
  return { kind: 'not', of, at, end: of.end };
}

function parseComparison(parser: Parser): Node {
  const left = parseSum(parser);
  const op = accept(parser, COMPARISONS);
  if (op === undefined) return left;
  if (left.kind === 'not' && parser.text[left.at] === '!') {
    throw badExpression(parser.text, left, '! binds to what, the value or the comparison?', {
      hint: 'put parentheses: !(a > b), or (!a) == b',
    });
  }
  const right = parseSum(parser);
  const node: Node = { kind: 'compare', op, left, right, at: left.at, end: right.end };
  const token = peek(parser);
  if (accept(parser, COMPARISONS) !== undefined) {
    throw badExpression(parser.text, token, 'comparisons are not chained', { hint: 'write a < b and b < c' });
  }
  return node;
}

function parseSum(parser: Parser): Node {
  return arithmetic(parser, ['+', '-'], parseProduct);
}

function parseProduct(parser: Parser): Node {
  return arithmetic(parser, ['*', '/', '%'], parseUnary);
}

function arithmetic(parser: Parser, ops: readonly Arithmetic[], operand: (parser: Parser) => Node): Node {
  let left = operand(parser);
  for (let op = accept(parser, ops); op !== undefined; op = accept(parser, ops)) {
    const right = operand(parser);
    left = { kind: 'arithmetic', op, left, right, at: left.at, end: right.end };
  }
  return left;
}

function parseUnary(parser: Parser): Node {
  const { at } = peek(parser);
  const op = accept(parser, ['-', '!', '+']);
  if (op === undefined) return parseOperand(parser);
  const of = deeper(parser, parseUnary);
  if (op === '+') return of;
  return { kind: op === '-' ? 'minus' : 'not', of, at, end: of.end };
}

function parseOperand(parser: Parser): Node {
  const token = peek(parser);
  const { at, end } = token;
  parser.next++;
  if (token.kind === 'integer' || token.kind === 'float') return token;
  if (token.kind === 'name') return parseName(parser, token);
  if (token.kind === 'operator' && token.text === '(') {
    const inner = deeper(parser, parseOr);
    return { ...inner, at, end: close(parser, { at, end }) };
  }
  throw unexpected(parser, token);
}

function parseName(parser: Parser, token: Token & { readonly kind: 'name' }): Node {
  const { at, end, name } = token;
  const word = wordOf(parser, token);
  if (word === undefined) return { kind: 'column', name, at, end };
  if (WORDS.includes(word)) throw unexpected(parser, token);
  const truth = Object.hasOwn(TRUTH, word) ? TRUTH[word] : undefined;
  if (truth !== undefined) return { kind: 'truth', value: truth, at, end };
  if (accept(parser, ['(']) === undefined) return { kind: 'column', name, at, end };
  const called = FUNCTIONS.find((each) => each === word);
  if (called === undefined) {
    throw badExpression(parser.text, token, `there is no function "${word}"`, {
      hint: `there are ${FUNCTIONS.join(', ')}`,
    });
  }
  const of = deeper(parser, parseOr);
  const comma = peek(parser);
  if (comma.kind === 'operator' && comma.text === ',') {
    throw badExpression(parser.text, comma, `${called}() takes one thing`);
  }
  return { kind: 'call', name: called, of, at, end: close(parser, { at: end, end: end + 1 }) };
}

/** The end of the closing parenthesis that must come now; `open` is the one that it closes. */
function close(parser: Parser, open: Place): number {
  const { end } = peek(parser);
  if (accept(parser, [')']) !== undefined) return end;
  if (peek(parser).kind === 'end') throw badExpression(parser.text, open, 'this parenthesis is never closed');
  throw unexpected(parser, peek(parser));
}

function deeper(parser: Parser, parse: (parser: Parser) => Node): Node {
  if (++parser.depth > DEPTH_MAX) {
    throw badExpression(parser.text, peek(parser), `the expression nests deeper than ${DEPTH_MAX}`);
  }
  const node = parse(parser);
  parser.depth--;
  return node;
}

/** The operands of the outermost `and`s, in order: the terms of a cut flow. */
export function termsOf(node: Node): readonly Node[] {
  return node.kind === 'logic' && node.op === 'and' ? [...termsOf(node.left), ...termsOf(node.right)] : [node];
}
