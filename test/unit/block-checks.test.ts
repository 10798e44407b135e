// Nulls inside lists: refused by event, and a validity that says nothing is taken away.
import { describe, expect, it } from 'vitest';
import type { Column } from '../../src/core/column.ts';
import { requireItems } from '../../src/join/block-checks.ts';
import { keySpecFor } from '../../src/keys/spec.ts';

const spec = keySpecFor('cms', { fields: [] }, []);
const keys = { spec, rows: 3, stride: 4, words: Uint32Array.of(1, 1, 7, 0, 1, 1, 8, 0, 1, 1, 9, 0) };
const listOf = (valid: readonly number[]): Column => ({
  kind: 'list',
  length: 3,
  offsets: Int32Array.of(0, 2, 2, 3),
  items: { kind: 'flat', dtype: 'f32', length: 3, values: Float32Array.of(1, 2, 3), valid: Uint8Array.from(valid) },
});
const nested = (valid: readonly number[]): Column => ({
  kind: 'list',
  length: 3,
  offsets: Int32Array.of(0, 1, 1, 3),
  items: listOf(valid),
});

describe('null items', () => {
  it('are refused with the event that has the first one', () => {
    try {
      requireItems('x', listOf([1, 1, 0]), keys);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'source/unreadable-column',
        details: ['the first one: run 1, luminosityBlock 1, event 9'],
      });
    }
    expect(() => requireItems('x', nested([1, 0, 1]), keys)).toThrow(/null inside a list/);
  });

  it('that are none lose their validity', () => {
    const column = requireItems('x', listOf([1, 1, 1]), keys);
    expect(column.kind === 'list' && column.items.valid).toBe(undefined);
    const deep = requireItems('x', nested([1, 1, 1]), keys);
    expect(deep.kind === 'list' && deep.items.kind === 'list' && deep.items.items.valid).toBe(undefined);
  });
});
