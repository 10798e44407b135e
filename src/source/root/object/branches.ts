// Owns which wire an object branch has: what its place in the tree and the classes of the file say of its entries.
import type { BranchObject } from '../tree-object.ts';
import type { ClassElement, Classes } from './classes.ts';
import {
  type Build,
  bareNode,
  basicDtype,
  type Compiled,
  classNode,
  finishBuild,
  infoOf,
  type Node,
  numberNode,
  type Place,
  packedNode,
  restNode,
  startBuild,
  stringNode,
  TYPE,
  topPlace,
  typeNode,
  Undecodable,
  valueNode,
} from './compile.ts';
import { parseTypeName } from './type-names.ts';

/** TBranchElement::fType: members of a split TClonesArray or container. */
const SPLIT_MEMBERS = [31, 41];
/** TBranchElement::fType of objects whose class has a streamer of its own, and those that follow the description all the same. */
const OWN_STREAMER = -1;
const BY_DESCRIPTION = new Set(['TLorentzVector', 'TVector2', 'TVector3', 'TNamed', 'TObject']);
/** Counted arrays (`float *pt; //[n]`) by type code. */
const isCountedArray = (type: number) => type > 40 && type < 60;

/** The wire of a TBranchElement without branches below it; `name` starts the names of its columns. Throws Undecodable. */
export function compileElement(branch: BranchObject, name: string, classes: Classes): Compiled {
  const build = startBuild(classes);
  const place = topPlace(name);
  if (Number(branch.fStreamerType) === TYPE.string) {
    return finishBuild(build, stringNode(build, place, { length: 'short', header: false }));
  }
  const node = Number(branch.fID) < 0 ? topNode(build, place, branch) : memberNode(build, place, branch);
  return finishBuild(build, node);
}

/** A branch of its own: containers have a header, objects and strings have none. */
function topNode(build: Build, place: Place, branch: BranchObject): Node {
  const className = branch.fClassName ?? '';
  const { kind } = parseTypeName(className);
  if (kind !== 'class') return typeNode(build, place, className, kind !== 'string');
  if (Number(branch.fType) === OWN_STREAMER) {
    if (!BY_DESCRIPTION.has(className)) throw new Undecodable(`class ${className} is written by code of its own`);
    return classNode(build, place, className);
  }
  return bareNode(build, place, className, versionOf(branch));
}

function memberNode(build: Build, place: Place, branch: BranchObject): Node {
  const element = elementOf(branch, build.classes);
  if (SPLIT_MEMBERS.includes(Number(branch.fType))) return splitMember(build, place, element);
  if (isCountedArray(element.type)) return countedArray(build, place, element);
  if (element.baseVersion !== undefined) return classNode(build, place, element.name);
  return valueNode(build, place, element);
}

/** A member of all objects of a split list, one value after the other; containers have one header for all. */
function splitMember(build: Build, place: Place, element: ClassElement): Node {
  const { type, title, typeName } = element;
  if (type === TYPE.double32 || type === TYPE.float16) {
    const half = type === TYPE.float16;
    return restNode(build, place, { skip: 0, header: false }, (item) => packedNode(build, item, title, half));
  }
  if (type === TYPE.object || type === TYPE.any) {
    return restNode(build, place, { skip: 0, header: false }, (item) => classNode(build, item, typeName));
  }
  const container = type === TYPE.stl && element.length === 0;
  if (!container) throw new Undecodable(`${element.name} (${typeName}) is an object in a split list`);
  return restNode(build, place, { skip: 0, header: true }, (item) => typeNode(build, item, typeName, false));
}

/** A byte that says whether there is an array, then as many values as its counter says. */
function countedArray(build: Build, place: Place, element: ClassElement): Node {
  const dtype = basicDtype(element.type - 40);
  if (dtype === undefined)
    throw new Undecodable(`${element.name} (${element.typeName}) is a counted array of its own kind`);
  return restNode(build, place, { skip: 1, header: false }, (item) => numberNode(build, item, dtype));
}

/** The member of its class that a branch is. Numbers of members are checked by name, since classes change. */
function elementOf(branch: BranchObject, classes: Classes): ClassElement {
  const className = branch.fClassName ?? '';
  const info = infoOf(classes, className, versionOf(branch));
  if (info === undefined) throw new Undecodable(`the file does not describe class ${className}`);
  const name = memberName(branch);
  const numbered = info.elements[Number(branch.fID)];
  if (numbered !== undefined && (numbered.name === name || numbered.baseVersion !== undefined)) return numbered;
  const named = info.elements.filter((element) => element.name === name);
  if (named.length === 1) return named[0]!;
  throw new Undecodable(`class ${className} has no member ${name}`);
}

const versionOf = ({ fClassVersion, fCheckSum }: BranchObject) => ({
  version: Number(fClassVersion),
  checksum: Number(fCheckSum ?? 0) >>> 0,
});

function memberName({ fName }: BranchObject): string {
  const bare = fName.replace(/(\[[^\]]*\])+$/, '');
  return bare.slice(bare.lastIndexOf('.') + 1);
}
