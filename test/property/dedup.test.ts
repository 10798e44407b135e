// --dedup: a column is left out just where an earlier one that differs by its label alone says the same of every event.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findEqual } from '../../src/join/dedup.ts';
import type { How } from '../../src/join/match.ts';
import { inlineExecutor } from '../../src/join/work.ts';
import { datasetOf, keyOf, planOf, type Row, unique } from './events.ts';
import { memorySink } from './memory.ts';

const { signal } = new AbortController();

/** A friend like another: the same events in another order, some values changed or events left out. */
const change = fc.record({
  reverse: fc.boolean(),
  value: fc.option(fc.nat(30), { nil: undefined }),
  item: fc.option(fc.nat(30), { nil: undefined }),
  drop: fc.option(fc.nat(30), { nil: undefined }),
});

function changed(
  rows: readonly Row[],
  { reverse, value, item, drop }: typeof change extends fc.Arbitrary<infer T> ? T : never,
) {
  const out = rows
    .map((row, i) => ({
      ...row,
      ...(i === value ? { value: (row.value ?? 0) + 1 } : {}),
      ...(i === item ? { items: [...row.items, 7] } : {}),
    }))
    .filter((_, i) => i !== drop);
  return reverse ? out.reverse() : out;
}

describe('columns that are equal but for the label', () => {
  it.each(['left', 'inner', 'outer'] as const)('%s', async (how: How) => {
    await fc.assert(
      fc.asyncProperty(
        unique,
        unique,
        fc.array(change, { minLength: 1, maxLength: 3 }),
        async (primary, own, changes) => {
          const friends = [own, ...changes.map((each) => changed(own, each))];
          const plain = [primary, ...friends].map((rows, s) => datasetOf(s === 0 ? 'primary' : `f${s}`, rows, []));
          const datasets = plain.map(renamed);
          const plan = await planOf(plain, how);
          const columns = plan.columns.map((column) =>
            column.kind === 'payload' && column.source > 0
              ? { ...column, from: column.from.replace(/_f\d$/, '') }
              : column,
          );
          const executor = inlineExecutor(
            { ...plan, columns },
            datasets,
            memorySink(() => {}),
            { compression: 'zstd' },
            { signal },
          );
          const equal = await findEqual({ ...plan, columns }, executor, () => {}).finally(() => executor.close());
          const events = union(primary, friends, how);
          const right: string[] = [];
          for (const name of ['value', 'list']) {
            const seen: string[] = [];
            [primary, ...friends].forEach((rows, s) => {
              const text = cells(rows, events, name);
              // of no values nothing is known: such columns stay
              if (/^\[(null,?)*\]$/.test(text)) return;
              if (seen.includes(text)) right.push(s === 0 ? name : `${name}_f${s}`);
              seen.push(text);
            });
          }
          expect(equal.map(({ name }) => name).sort()).toEqual(right.sort());
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** Sources in memory whose columns have the primary's names, so that they differ by the label alone. */
function renamed(dataset: ReturnType<typeof datasetOf>, s: number): ReturnType<typeof datasetOf> {
  if (s === 0) return dataset;
  const bare = (name: string) => name.replace(/_f\d$/, '');
  const files = dataset.files.map((file) => ({
    ...file,
    read: (names: readonly string[], ...rest: [number, number]) =>
      file.read(
        names.map((name) => (/^(value|list)$/.test(name) ? `${name}_f${s}` : name)),
        ...rest,
      ),
  }));
  const schema = {
    fields: dataset.descriptor.schema.fields.flatMap((field) => [field, { ...field, name: bare(field.name) }]),
  };
  const placed = dataset.descriptor.files.map(({ descriptor, firstRow }) => ({
    firstRow,
    descriptor: { ...descriptor, schema },
  }));
  return {
    ...dataset,
    files: files.map((file) => ({ ...file, descriptor: { ...file.descriptor, schema } })),
    descriptor: { ...dataset.descriptor, schema, files: placed },
  };
}

function union(primary: readonly Row[], friends: readonly (readonly Row[])[], how: How): string[] {
  const sides = [primary, ...friends].map((rows) => rows.map(keyOf));
  if (how === 'left') return sides[0]!;
  if (how === 'inner') return sides[0]!.filter((key) => sides.every((side) => side.includes(key)));
  return [...new Set(sides.flat())];
}

function cells(rows: readonly Row[], events: readonly string[], name: string): string {
  const byKey = new Map(rows.map((row) => [keyOf(row), name === 'value' ? row.value : row.items]));
  return JSON.stringify(events.map((key) => byKey.get(key) ?? null));
}
