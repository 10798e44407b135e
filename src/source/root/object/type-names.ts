// Owns reading C++ type names: basic types, standard containers with their arguments, and everything else as a class.
import type { Dtype } from '../../../core/dtype.ts';
import { classKey } from './classes.ts';

export type TypeName =
  | { readonly kind: 'basic'; readonly dtype: Dtype }
  | { readonly kind: 'string' }
  | { readonly kind: 'tstring' }
  | { readonly kind: 'sequence'; readonly item: string }
  | { readonly kind: 'map'; readonly key: string; readonly value: string; readonly pair: string }
  | { readonly kind: 'class'; readonly name: string }
  | { readonly kind: 'unknown'; readonly why: string };

/** As streamed: long has 8 bytes in a file whatever the machine, and so has size_t. */
const BASIC: Readonly<Record<string, Dtype>> = {
  bool: 'bool',
  Bool_t: 'bool',
  char: 'i8',
  Char_t: 'i8',
  'signed char': 'i8',
  int8_t: 'i8',
  'unsigned char': 'u8',
  UChar_t: 'u8',
  uint8_t: 'u8',
  short: 'i16',
  Short_t: 'i16',
  int16_t: 'i16',
  'unsigned short': 'u16',
  UShort_t: 'u16',
  uint16_t: 'u16',
  int: 'i32',
  Int_t: 'i32',
  int32_t: 'i32',
  'unsigned int': 'u32',
  unsigned: 'u32',
  UInt_t: 'u32',
  uint32_t: 'u32',
  long: 'i64',
  Long_t: 'i64',
  'long long': 'i64',
  Long64_t: 'i64',
  int64_t: 'i64',
  'unsigned long': 'u64',
  ULong_t: 'u64',
  'unsigned long long': 'u64',
  ULong64_t: 'u64',
  uint64_t: 'u64',
  size_t: 'u64',
  float: 'f32',
  Float_t: 'f32',
  double: 'f64',
  Double_t: 'f64',
};

const SEQUENCES = new Set([
  'vector',
  'list',
  'deque',
  'forward_list',
  'set',
  'multiset',
  'unordered_set',
  'unordered_multiset',
  'ROOT::VecOps::RVec',
]);
const MAPS = new Set(['map', 'multimap', 'unordered_map', 'unordered_multimap']);

export function parseTypeName(text: string): TypeName {
  const name = classKey(text).replace(/^const /, '');
  const dtype = BASIC[name];
  if (dtype !== undefined) return { kind: 'basic', dtype };
  if (name === 'string' || name.startsWith('basic_string<char')) return { kind: 'string' };
  if (name === 'TString') return { kind: 'tstring' };
  if (name.endsWith('*') || name.endsWith('&')) return { kind: 'unknown', why: 'pointers cannot be followed' };
  const open = name.indexOf('<');
  if (open < 0 || !name.endsWith('>')) return { kind: 'class', name };
  const outer = name.slice(0, open);
  const args = splitArguments(name.slice(open + 1, -1));
  if (SEQUENCES.has(outer)) return { kind: 'sequence', item: args[0]! };
  if (MAPS.has(outer) && args.length >= 2) {
    return { kind: 'map', key: args[0]!, value: args[1]!, pair: `pair<${args[0]},${args[1]}>` };
  }
  if (outer === 'bitset') return { kind: 'unknown', why: 'bit sets cannot be decoded' };
  return { kind: 'class', name };
}

/** At the commas that are inside no brackets. */
function splitArguments(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const letter = text[i];
    if (letter === '<' || letter === '(') depth++;
    else if (letter === '>' || letter === ')') depth--;
    else if (letter === undefined || (letter === ',' && depth === 0)) {
      found.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  return found;
}
