// Owns many trees in one file: FILES:PATTERN of a friend stands for one source a matching tree, labelled with the tree's name.
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import { expandInputs, globMatcher, type Input } from '../source/inputs.ts';
import { listTrees } from '../source/root-ttree.ts';
import type { JoinOptions, SourceWords } from './types.ts';

const isPattern = (tree: string | undefined): tree is string => tree !== undefined && /[*?[]/.test(tree);

/** The friends with every pattern of trees replaced by sources of one tree each. Errors: source/no-tree, usage/bad-option. */
export async function expandTrees({
  friends,
  redirector,
}: Pick<JoinOptions, 'friends' | 'redirector'>): Promise<readonly SourceWords[]> {
  const out: SourceWords[] = [];
  for (const friend of friends) {
    const patterned = friend.files.some((word) => /:(?!\/\/)[^:]*[*?[]/.test(word));
    const asked = {
      ...(redirector === undefined ? {} : { redirector }),
      ...(friend.base === undefined ? {} : { base: friend.base }),
    };
    const inputs = patterned ? expandInputs(friend.files, asked) : [];
    if (!inputs.some(({ tree }) => isPattern(tree))) out.push(friend);
    else out.push(...(await sourcesOf(friend, inputs)));
  }
  return out;
}

async function sourcesOf(friend: SourceWords, inputs: readonly Input[]): Promise<SourceWords[]> {
  const { label, files } = friend;
  const list = files.find((word) => word === '-' || word.startsWith('@'));
  if (list !== undefined) {
    throw new ColweaveError('usage/bad-option', 'a pattern of trees does not go with a list of files', {
      where: [list],
      hint: "give the files themselves: --with 'FILES:*__1up'",
    });
  }
  const plain = inputs.find(({ tree }) => !isPattern(tree));
  if (plain !== undefined) {
    throw new ColweaveError('usage/bad-option', 'a --with names trees by a pattern for one file and not for another', {
      where: [plain.uri],
      hint: "give every file with the same pattern: --with 'FILES:*__1up'",
    });
  }
  if (label !== undefined) {
    throw new ColweaveError(
      'usage/bad-option',
      `a pattern of trees makes sources named after the trees, not "${label}"`,
      {
        hint: `leave the label out; --name '${label}_{label}_{name}' puts it into the names of columns`,
      },
    );
  }
  const found = await Promise.all(inputs.map(async (input) => ({ ...input, trees: await matching(input) })));
  const names = [...new Set(found.flatMap(({ trees }) => trees))];
  for (const name of names) {
    const without = found.find(({ trees }) => !trees.includes(name));
    if (without === undefined) continue;
    const having = found.find(({ trees }) => trees.includes(name))!;
    throw new ColweaveError('source/no-tree', `no tree "${name}", which ${having.uri} has`, { where: [without.uri] });
  }
  refuseAlike(names);
  // the words stay as they are but for the tree: folders may say something of the files in them
  const words = files.map((word) => word.slice(0, word.lastIndexOf(':')));
  return names.map((name) => ({ ...friend, label: labelOf(name), files: words, tree: name }));
}

async function matching({ uri, tree }: Input): Promise<readonly string[]> {
  const trees = await listTrees(uri);
  const matches = globMatcher(tree!);
  const hits = trees.filter(matches);
  if (hits.length > 0) return hits;
  throw new ColweaveError(
    'source/no-tree',
    `no tree matches "${tree}": ${trees.length === 0 ? 'the file has no trees' : `there are ${trees.join(', ')}`}`,
    {
      where: [uri],
      near: nearestNames(tree!.replace(/[*?[\]]/g, ''), trees),
    },
  );
}

/** A label is part of column names: what no name may hold becomes `_`. */
function labelOf(tree: string): string {
  return tree.replace(/\W/g, '_');
}

function refuseAlike(names: readonly string[]): void {
  const twin = names.find((name, i) => names.findIndex((other) => labelOf(other) === labelOf(name)) !== i);
  if (twin === undefined) return;
  const other = names.find((name) => labelOf(name) === labelOf(twin))!;
  throw new ColweaveError('usage/bad-option', `trees "${other}" and "${twin}" would both be called ${labelOf(twin)}`, {
    hint: 'give each a --with and a label of its own',
  });
}
