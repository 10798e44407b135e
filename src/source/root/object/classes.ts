// Owns the classes that a file describes (its TStreamerInfo): plain data, checked, by class name and version.
import { ColweaveError } from '../../../core/errors.ts';

/** One member of a class, as its streamer writes it. Type codes are those of TVirtualStreamerInfo::EReadWrite. */
export interface ClassElement {
  readonly name: string;
  readonly title: string;
  readonly type: number;
  readonly typeName: string;
  /** Product of the fixed dimensions, 0 where there are none. */
  readonly length: number;
  readonly dims: readonly number[];
  /** The member that counts an array (`float *pt; //[n]`). */
  readonly counter?: string;
  /** Version and checksum of a base class. */
  readonly baseVersion?: number;
  readonly baseChecksum?: number;
}

export interface ClassInfo {
  readonly name: string;
  readonly version: number;
  readonly checksum: number;
  readonly elements: readonly ClassElement[];
}

/** All versions of each class, newest first, under the name without blanks and `std::`. */
export type Classes = ReadonlyMap<string, readonly ClassInfo[]>;

/** `vector<pair<int, float> >` and `std::vector<std::pair<int,float>>` are one class. */
export function classKey(name: string): string {
  return name
    .replace(/\bstd::/g, '')
    .replace(/\s*([<>,*&])\s*/g, '$1')
    .trim();
}

/** Errors: source/damaged where an info lacks what every info has. */
export function collectClasses(infos: readonly unknown[]): Classes {
  const classes = new Map<string, ClassInfo[]>();
  for (const object of infos) {
    const info = object as Readonly<Record<string, unknown>> | null;
    if (info?._typename !== 'TStreamerInfo') continue; // the list of schema rules has no description of a class
    const described = describeClass(info);
    const key = classKey(described.name);
    const others = classes.get(key) ?? [];
    if (others.some(({ version, checksum }) => version === described.version && checksum === described.checksum))
      continue;
    classes.set(
      key,
      [...others, described].sort((left, right) => right.version - left.version),
    );
  }
  return classes;
}

function describeClass(info: Readonly<Record<string, unknown>>): ClassInfo {
  const elements = (info.fElements as { readonly arr?: unknown } | null)?.arr;
  if (typeof info.fName !== 'string' || !Array.isArray(elements)) throw damaged('a class has no name or no members');
  return {
    name: info.fName,
    version: integer(info.fClassVersion, 'a class version'),
    checksum: integer(info.fCheckSum, 'a checksum') >>> 0,
    elements: elements.map((element) => describeElement(element, String(info.fName))),
  };
}

function describeElement(object: unknown, owner: string): ClassElement {
  const element = object as Readonly<Record<string, unknown>> | null;
  if (typeof element?.fName !== 'string' || typeof element.fTypeName !== 'string') {
    throw damaged(`class ${owner} has a member without a name`);
  }
  const dim = integer(element.fArrayDim, 'a number of dimensions');
  const indexed = ArrayBuffer.isView(element.fMaxIndex) || Array.isArray(element.fMaxIndex) ? element.fMaxIndex : [];
  const sizes = Array.from(indexed as ArrayLike<number>);
  return {
    name: element.fName,
    title: typeof element.fTitle === 'string' ? element.fTitle : '',
    type: isContainer(element) ? CONTAINER : integer(element.fType, 'a type code'),
    typeName: element.fTypeName,
    length: integer(element.fArrayLength, 'a length'),
    dims: sizes.slice(0, dim),
    ...(typeof element.fCountName === 'string' ? { counter: element.fCountName } : {}),
    // a base class has no dimensions: its checksum is kept in their place
    ...(element._typename === 'TStreamerBase'
      ? { baseVersion: Number(element.fBaseVersion), baseChecksum: (sizes[1] ?? 0) >>> 0 }
      : {}),
  };
}

/** TVirtualStreamerInfo::kSTL. Files have the code of custom streamers instead, for programs older than it. */
const CONTAINER = 300;
const isContainer = ({ _typename }: Readonly<Record<string, unknown>>): boolean =>
  _typename === 'TStreamerSTL' || _typename === 'TStreamerSTLstring';

function integer(value: unknown, what: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw damaged(`${what} is ${value}`);
  return number;
}

function damaged(what: string): ColweaveError {
  return new ColweaveError('source/damaged', `the description of classes is damaged: ${what}`);
}
