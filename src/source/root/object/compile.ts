// Owns making wires from types: C++ names and class descriptions of the file to what the decoder follows.
// Layout of objects in a buffer: TBufferFile::ReadVersion, TStreamerInfo::ReadBuffer and TCollectionStreamer of ROOT.
import type { Dtype } from '../../../core/dtype.ts';
import { flat } from '../../../core/schema.ts';
import { commonType } from '../../casts.ts';
import { type ClassElement, type Classes, type ClassInfo, classKey } from './classes.ts';
import { packingOf } from './packing.ts';
import { parseTypeName } from './type-names.ts';
import type { ObjectLayout, RecordVersion, RecordWire, Slot, Wire } from './wire.ts';

/** Type codes of TVirtualStreamerInfo::EReadWrite; 20 more is a fixed array of it, 40 more a counted one. */
export const TYPE = {
  base: 0,
  counter: 6,
  charStar: 7,
  double32: 9,
  float16: 19,
  object: 61,
  any: 62,
  string: 65,
  tobject: 66,
  tnamed: 67,
  stl: 300,
} as const;
const ARRAY_OFFSET = 20;
const POINTER_OFFSET = 40;
/** Classes inside classes: deeper than anybody nests. */
const DEPTH_MAX = 24;
/** Members of all classes inside a branch: damaged descriptions may hold each other many times over. */
const MEMBERS_MAX = 20_000;

const BASIC: Readonly<Record<number, Dtype>> = {
  1: 'i8',
  2: 'i16',
  3: 'i32',
  4: 'i64',
  5: 'f32',
  6: 'i32',
  8: 'f64',
  11: 'u8',
  12: 'u16',
  13: 'u32',
  14: 'u64',
  15: 'u32',
  16: 'i64',
  17: 'u64',
  18: 'bool',
};

/** The dtype of a basic type code, whether of one value or of a fixed array. */
export function basicDtype(type: number): Dtype | undefined {
  return BASIC[type > ARRAY_OFFSET && type < POINTER_OFFSET ? type - ARRAY_OFFSET : type];
}

/** Why a type cannot be read. */
export class Undecodable {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** `leaves`: path of each slot that is a column; `partial`: those that some version of a class lacks. */
export interface Compiled {
  readonly layout: ObjectLayout;
  readonly leaves: ReadonlyMap<string, number>;
  readonly partial: readonly string[];
}

/** Where a wire is compiled: `parent` is the list around it, `path` names what it holds. */
export interface Place {
  readonly path: string;
  readonly parent: number;
  readonly depth: number;
}

export interface Node {
  readonly wire: Wire;
  readonly leaves: readonly string[];
  readonly partial: readonly string[];
}

/** What is being compiled: slots are found again by path, so that versions of a class fill the same ones. */
export interface Build {
  readonly classes: Classes;
  readonly slots: Slot[];
  readonly known: Map<string, number>;
  readonly leaves: Map<string, number>;
  members: number;
}

export function startBuild(classes: Classes): Build {
  return { classes, slots: [], known: new Map(), leaves: new Map(), members: 0 };
}

export function finishBuild(build: Build, { wire, leaves, partial }: Node): Compiled {
  const columns = new Map(leaves.map((path) => [path, build.leaves.get(path)!]));
  if (columns.size === 0)
    throw new Undecodable(partial.length > 0 ? 'its versions differ' : 'its class has no members');
  return { layout: { wire, slots: build.slots }, leaves: columns, partial };
}

export const topPlace = (path: string): Place => ({ path, parent: -1, depth: 0 });

function slotAt(build: Build, place: Place, tag: string, slot: Slot): number {
  const key = `${tag} ${place.parent} ${place.path}`;
  const known = build.known.get(key);
  if (known === undefined) {
    build.slots.push(slot);
    build.known.set(key, build.slots.length - 1);
    return build.slots.length - 1;
  }
  const before = build.slots[known]!;
  if (before.kind === 'number' && slot.kind === 'number' && before.dtype !== slot.dtype) {
    const common = commonType(flat(before.dtype), flat(slot.dtype));
    if (common?.kind !== 'flat') throw new Undecodable(`${place.path} is ${before.dtype} and ${slot.dtype} by version`);
    build.slots[known] = { ...before, dtype: common.dtype };
  }
  return known;
}

function leaf(build: Build, place: Place, slot: number): Pick<Node, 'leaves' | 'partial'> {
  const before = build.leaves.get(place.path);
  if (before !== undefined && before !== slot) throw new Undecodable(`${place.path} changes its shape by version`);
  build.leaves.set(place.path, slot);
  return { leaves: [place.path], partial: [] };
}

export function numberNode(build: Build, place: Place, dtype: Dtype): Node {
  const slot = slotAt(build, place, 'value', { kind: 'number', dtype, parent: place.parent });
  return { wire: { kind: 'number', dtype, slot }, ...leaf(build, place, slot) };
}

export function stringNode(build: Build, place: Place, how: { length: 'short' | 'long'; header: boolean }): Node {
  const slot = slotAt(build, place, 'text', { kind: 'string', parent: place.parent });
  return { wire: { kind: 'string', ...how, slot }, ...leaf(build, place, slot) };
}

/** Double32_t, Float16_t: the title has the range. */
export function packedNode(build: Build, place: Place, title: string, half: boolean): Node {
  const packing = packingOf(title, half);
  if (packing === undefined) throw new Undecodable(`its range is not understood: ${title}`);
  const dtype = half ? 'f32' : 'f64';
  const slot = slotAt(build, place, 'value', { kind: 'number', dtype, parent: place.parent });
  const found = leaf(build, place, slot);
  if (packing.kind === 'float') return { wire: { kind: 'number', dtype: 'f32', slot }, ...found };
  return { wire: { kind: 'packed', packing, slot }, ...found };
}

type MakeItem = (place: Place) => Node;

export function fixedNode(build: Build, place: Place, size: number, makeItem: MakeItem): Node {
  const slot = slotAt(build, place, `[${size}]`, { kind: 'fixed', size, parent: place.parent });
  const item = makeItem({ ...place, parent: slot });
  return { ...item, wire: { kind: 'fixed', size, item: item.wire, slot } };
}

/** The items of an entry up to its end. */
export function restNode(build: Build, place: Place, how: { skip: number; header: boolean }, makeItem: MakeItem): Node {
  const slot = slotAt(build, place, '[]', { kind: 'list', parent: place.parent });
  const item = makeItem({ ...place, parent: slot });
  if (bytesMin(item.wire) === 0) throw new Undecodable('its items have no bytes to be counted by');
  return { ...item, wire: { kind: 'rest', ...how, item: item.wire, slot } };
}

function listNode(build: Build, place: Place, header: boolean, makeItem: MakeItem): Node {
  const slot = slotAt(build, place, '[]', { kind: 'list', parent: place.parent });
  const item = makeItem({ ...place, parent: slot });
  return { ...item, wire: { kind: 'list', header, item: item.wire, slot } };
}

/** A record may be of no bytes only in theory; a count of such items could be any. */
function bytesMin(wire: Wire): number {
  if (wire.kind === 'record') return wire.header ? 6 : Math.min(...wire.versions.map(({ members }) => members.length));
  return wire.kind === 'fixed' ? bytesMin(wire.item) : 1;
}

/** A type by its C++ name. `header`: whether containers and strings have one here (they have, but not inside containers). */
export function typeNode(build: Build, place: Place, text: string, header: boolean): Node {
  if (place.depth > DEPTH_MAX) throw new Undecodable('its classes hold each other without end');
  const inner = { ...place, depth: place.depth + 1 };
  const name = parseTypeName(text);
  switch (name.kind) {
    case 'basic':
      return numberNode(build, place, name.dtype);
    case 'string':
      return stringNode(build, place, { length: 'short', header });
    case 'tstring':
      return stringNode(build, place, { length: 'short', header: false });
    case 'sequence':
      return listNode(build, inner, header, (item) => typeNode(build, item, name.item, false));
    case 'map':
      if (!header) throw new Undecodable('maps inside containers cannot be decoded');
      return listNode(build, inner, header, (item) => pairNode(build, item, name));
    case 'class':
      return classNode(build, inner, name.name);
    case 'unknown':
      throw new Undecodable(name.why);
  }
}

/** std::pair needs no description: its members are what its name says. */
function pairNode(build: Build, place: Place, types: { key: string; value: string; pair: string }): Node {
  if (build.classes.has(classKey(types.pair))) return classNode(build, place, types.pair);
  const first = typeNode(build, member(place, 'first'), types.key, true);
  const second = typeNode(build, member(place, 'second'), types.value, true);
  const version = { version: -1, checksum: -1, members: [first.wire, second.wire] };
  const wire: Wire = { kind: 'record', name: types.pair, header: true, versions: [version] };
  return { wire, leaves: [...first.leaves, ...second.leaves], partial: [...first.partial, ...second.partial] };
}

function member(place: Place, name: string): Place {
  return { ...place, path: place.path.endsWith('.') ? place.path + name : `${place.path}.${name}` };
}

/** An object with a header: any version that the file describes. */
export function classNode(build: Build, place: Place, name: string): Node {
  if (classKey(name) === 'TObject') return objectNode(build, place);
  const infos = build.classes.get(classKey(name));
  if (infos === undefined) throw new Undecodable(`the file does not describe class ${name}`);
  return recordNode(build, place, infos, true);
}

/** The version of a class that a branch names: by its checksum, which branches have but for those of very old files. */
export function infoOf(
  classes: Classes,
  name: string,
  { version, checksum }: { readonly version: number; readonly checksum: number },
): ClassInfo | undefined {
  const infos = classes.get(classKey(name)) ?? [];
  return infos.find((info) => (checksum === 0 ? info.version === version : info.checksum === checksum));
}

/** An object without a header, of the version that the branch names. */
export function bareNode(build: Build, place: Place, name: string, of: { version: number; checksum: number }): Node {
  const info = infoOf(build.classes, name, of);
  if (info === undefined) throw new Undecodable(`the file does not describe class ${name}, version ${of.version}`);
  return recordNode(build, place, [info], false);
}

function recordNode(build: Build, place: Place, infos: readonly ClassInfo[], header: boolean): Node {
  const found = infos.map((info) => versionNode(build, place, info));
  const all = [...new Set(found.flatMap(({ leaves }) => leaves))];
  const leaves = all.filter((path) => found.every((version) => version.leaves.includes(path)));
  const partial = [...found.flatMap((version) => version.partial), ...all.filter((path) => !leaves.includes(path))];
  const versions = found.map(({ version }) => version);
  return { wire: { kind: 'record', name: infos[0]!.name, header, versions }, leaves, partial: [...new Set(partial)] };
}

interface VersionNode extends Omit<Node, 'wire'> {
  readonly version: RecordVersion;
}

function versionNode(build: Build, place: Place, info: ClassInfo): VersionNode {
  if (place.depth > DEPTH_MAX) throw new Undecodable('its classes hold each other without end');
  const members: Wire[] = [];
  const leaves: string[] = [];
  const partial: string[] = [];
  for (const element of info.elements) {
    // what ROOT calls the one member of a class that it treats as a container
    if (++build.members > MEMBERS_MAX) throw new Undecodable('its classes have too many members');
    if (element.name === 'This') throw new Undecodable(`class ${info.name} is a container of its own kind`);
    const node = elementNode(build, { ...place, depth: place.depth + 1 }, element);
    const twice = node.leaves.find((path) => leaves.includes(path));
    if (twice !== undefined) throw new Undecodable(`two members are called ${twice}`);
    members.push(node.wire);
    leaves.push(...node.leaves);
    partial.push(...node.partial);
  }
  const { version, checksum } = info;
  return { version: { version, checksum, members }, leaves, partial };
}

/** A member of a class; a base class adds its members under the same path. */
export function elementNode(build: Build, place: Place, element: ClassElement): Node {
  const { type, name } = element;
  if (type === TYPE.base || (element.baseVersion !== undefined && type !== TYPE.tobject)) {
    const node = classNode(build, place, name);
    return node.wire.kind === 'record'
      ? { ...node, wire: { ...node.wire, base: baseIndex(node.wire, element) } }
      : node;
  }
  if (type === TYPE.tobject) return objectNode(build, element.baseVersion === undefined ? member(place, name) : place);
  if (type > POINTER_OFFSET && type < TYPE.object) return countedNode(build, place, element);
  return valueNode(build, member(place, name), element);
}

/** `float *pt; //[n]`: n stands before it in the same object. */
function countedNode(build: Build, place: Place, { name, type, counter }: ClassElement): Node {
  const dtype = BASIC[type - POINTER_OFFSET];
  const count = counter === undefined ? undefined : build.leaves.get(member(place, counter).path);
  if (dtype === undefined || count === undefined)
    throw new Undecodable(`${name} is an array that another object counts`);
  const own = member(place, name);
  const slot = slotAt(build, own, '[]', { kind: 'list', parent: place.parent });
  const item = numberNode(build, { ...own, parent: slot }, dtype);
  return { ...item, wire: { kind: 'counted', counter: count, item: item.wire, slot } };
}

/** Which version of a base class the class was written with; -1 where that is not among those described. */
function baseIndex({ versions }: RecordWire, { baseVersion, baseChecksum }: ClassElement): number {
  if (versions.length === 1) return 0;
  const byChecksum = versions.findIndex(({ checksum }) => checksum === baseChecksum);
  return byChecksum >= 0 ? byChecksum : versions.findIndex(({ version }) => version === baseVersion);
}

/** What a member holds that is no base class. */
export function valueNode(build: Build, own: Place, element: ClassElement): Node {
  const { type, typeName, name } = element;
  const single = type > ARRAY_OFFSET && type < POINTER_OFFSET ? type - ARRAY_OFFSET : type;
  if (single === type) return singleNode(build, own, element, type);
  const sizes = element.dims.length > 0 ? element.dims : [element.length];
  const nest =
    (at: number) =>
    (inner: Place): Node =>
      at === sizes.length
        ? singleNode(build, inner, element, single)
        : fixedNode(build, inner, sizes[at]!, nest(at + 1));
  if (sizes.some((size) => !(size > 0))) throw new Undecodable(`${typeName} ${name} has no size`);
  return nest(0)(own);
}

function singleNode(build: Build, place: Place, element: ClassElement, type: number): Node {
  const dtype = BASIC[type];
  if (dtype !== undefined) return numberNode(build, place, dtype);
  switch (type) {
    case TYPE.double32:
    case TYPE.float16:
      return packedNode(build, place, element.title, type === TYPE.float16);
    case TYPE.charStar:
      return stringNode(build, place, { length: 'long', header: false });
    case TYPE.string:
      return stringNode(build, place, { length: 'short', header: false });
    case TYPE.object:
    case TYPE.any:
    case TYPE.tnamed:
      return classNode(build, place, element.typeName);
    case TYPE.stl:
      if (element.length > 0) throw new Undecodable('arrays of containers cannot be decoded');
      return typeNode(build, place, element.typeName, true);
    default:
      throw new Undecodable(`${element.name} (${element.typeName}) has a layout of its own or is a pointer`);
  }
}

function objectNode(build: Build, place: Place): Node {
  const words = ['fUniqueID', 'fBits'].map((name) => numberNode(build, member(place, name), 'u32'));
  const [uniqueId, bits] = words.map(({ wire }) => (wire as { readonly slot: number }).slot);
  return {
    wire: { kind: 'tobject', uniqueId: uniqueId!, bits: bits! },
    leaves: words.flatMap(({ leaves }) => leaves),
    partial: [],
  };
}
