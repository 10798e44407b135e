// Columns from fields alone: names of inherited members, and what damaged or future descriptions come to.
import { describe, expect, it } from 'vitest';
import { describeFields } from '../../src/source/rntuple/describe.ts';
import type { ColumnRecord, FieldRecord } from '../../src/source/rntuple/schema-records.ts';

const INT32 = 7;
const [LEAF, RECORD] = [0, 2];

/** Each field by its parent's place in the list (its own: top level), and a column for each leaf. */
function described(
  list: readonly (readonly [parent: number, role: number, name: string, type: string])[],
  type = INT32,
) {
  const fields = list.map(([parent, role, name, typeName], id): FieldRecord => {
    return { id, parent, role, name, type: typeName, doc: '', repetition: 0 };
  });
  const leaves = fields.filter(({ role }) => role === LEAF);
  const columns = leaves.map(({ id: field }, id): ColumnRecord => {
    return { id, type, bits: 32, field, representation: 0, firstElement: 0, min: 0, max: 0 };
  });
  const { nodes, unreadable } = describeFields({ fields, columns, aliases: [] });
  const names = nodes.map(([name, node]) => `${name} ${node.kind === 'leaf' ? node.columns[0] : node.kind}`);
  return { names, unreadable };
}

describe('members of base classes', () => {
  it('are members like its own', () => {
    const { names } = described([
      [0, RECORD, 'hit', 'Hit'],
      [0, RECORD, ':_0', 'Base'],
      [0, LEAF, 'x', 'std::int32_t'],
      [1, LEAF, 'y', 'std::int32_t'],
    ]);
    expect(names.sort()).toEqual(['hit.x 0', 'hit.y 1']);
  });

  it('are called by their class where a member hides them, or two classes have them', () => {
    const { names, unreadable } = described([
      [0, RECORD, 'hit', 'Hit'],
      [0, RECORD, ':_0', 'Left'],
      [0, RECORD, ':_1', 'Right'],
      [0, LEAF, 'x', 'std::int32_t'],
      [1, LEAF, 'x', 'std::int32_t'],
      [2, LEAF, 'x', 'std::int32_t'],
    ]);
    expect(names.sort()).toEqual(['hit.Left::x 1', 'hit.Right::x 2', 'hit.x 0']);
    expect(unreadable).toEqual([]);
  });

  it('inherited twice through two classes, by both', () => {
    const { names } = described([
      [0, RECORD, 'hit', 'Hit'],
      [0, RECORD, ':_0', 'Left'],
      [0, RECORD, ':_1', 'Right'],
      [1, RECORD, ':_0', 'Top'],
      [2, RECORD, ':_0', 'Top'],
      [3, LEAF, 'x', 'std::int32_t'],
      [4, LEAF, 'x', 'std::int32_t'],
    ]);
    expect(names).toEqual(['hit.Left::Top::x 0', 'hit.Right::Top::x 1']);
  });
});

it('a column type that is not known, and a type that is stored otherwise, are left out by name', () => {
  const field = [[0, LEAF, 'x', 'std::int32_t']] as const;
  expect(described(field, 99).unreadable).toMatchObject([{ name: 'x', reason: 'it is stored as column type 99' }]);
  expect(described(field, 16).unreadable).toMatchObject([{ reason: 'it is stored as Switch' }]);
  expect(described(field, 8).unreadable).toMatchObject([{ reason: 'it is stored as UInt32' }]);
  expect(described([[0, LEAF, 'x', 'Mystery']]).unreadable).toMatchObject([{ name: 'x', type: 'Mystery' }]);
  expect(described([[0, 9, 'x', 'Mystery']]).unreadable).toMatchObject([{ reason: 'its structure (9) is not known' }]);
});
