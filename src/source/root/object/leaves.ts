// Owns wires of plain branches whose values are no plain numbers: Double32_t and Float16_t leaves, several leaves in one.
import type { Dtype } from '../../../core/dtype.ts';
import type { LeafObject } from '../tree-object.ts';
import {
  type Compiled,
  finishBuild,
  fixedNode,
  type Node,
  numberNode,
  type Place,
  packedNode,
  restNode,
  startBuild,
  topPlace,
  Undecodable,
} from './compile.ts';
import type { Wire } from './wire.ts';

const isPackedLeaf = ({ _typename }: LeafObject): boolean => _typename === 'TLeafD32' || _typename === 'TLeafF16';

/** `dtypeOf` and `dimsOf` say what a plain leaf is. Throws Undecodable. */
export function compileLeaves(
  name: string,
  leaves: readonly LeafObject[],
  dtypeOf: (leaf: LeafObject) => Dtype | undefined,
  dimsOf: (leaf: LeafObject) => readonly number[],
): Compiled {
  const build = startBuild(new Map());
  const leafNode = (place: Place, leaf: LeafObject): Node => {
    const dims = dimsOf(leaf);
    const nest =
      (at: number) =>
      (inner: Place): Node => {
        if (at < dims.length) return fixedNode(build, inner, dims[at]!, nest(at + 1));
        // the range is in the brackets of the type: `x[n]/d[0,10,16]`
        if (isPackedLeaf(leaf))
          return packedNode(build, inner, leaf.fTitle.split('/')[1] ?? '', leaf._typename === 'TLeafF16');
        const dtype = dtypeOf(leaf);
        if (dtype === undefined) throw new Undecodable(`${leaf.fName}: values of ${leaf._typename} cannot be decoded`);
        return numberNode(build, inner, dtype);
      };
    return nest(0)(place);
  };
  const [first] = leaves;
  if (leaves.length === 1 && first) {
    const place = topPlace(name);
    if (!first.fLeafCount) return finishBuild(build, leafNode(place, first));
    return finishBuild(
      build,
      restNode(build, place, { skip: 0, header: false }, (item) => leafNode(item, first)),
    );
  }
  if (leaves.some(({ fLeafCount }) => fLeafCount))
    throw new Undecodable('several leaves in one branch, lists among them');
  const nodes = leaves.map((leaf) => leafNode(topPlace(`${name}.${leaf.fName}`), leaf));
  const members: Wire[] = nodes.map(({ wire }) => wire);
  const wire: Wire = { kind: 'record', name, header: false, versions: [{ version: 0, checksum: 0, members }] };
  return finishBuild(build, { wire, leaves: nodes.flatMap((node) => node.leaves), partial: [] });
}
