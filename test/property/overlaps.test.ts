// Overlapping primary datasets, first-by-source: the same as a join of a primary from which later occurrences were taken away by hand.
// And output directories cut by size: every row in one file, every row of the sources answered for by one file.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ColweaveError } from '../../src/core/errors.ts';
import type { How } from '../../src/join/match.ts';
import { datasetOf, keyOf, planOf, type Row, runWith, unique } from './events.ts';
import { memorySink, type Written } from './memory.ts';

const CASES = Number(process.env.COLWEAVE_CASES ?? 400);
const HOWS: readonly How[] = ['inner', 'left', 'right', 'outer'];
const how = fc.constantFrom(...HOWS);
const labelOf = (g: number) => `pd${g}`;

function groupsOf(parts: readonly (readonly Row[])[]) {
  let rowEnd = 0;
  return parts.map((part, g) => {
    rowEnd += part.length;
    return { label: labelOf(g), rowEnd };
  });
}

async function written(plan: Awaited<ReturnType<typeof planOf>>, datasets: Parameters<typeof runWith>[1]) {
  let out: Written | undefined;
  await runWith(
    plan,
    datasets,
    memorySink((output) => {
      out = output;
    }),
  );
  return out!;
}

describe('overlapping primary datasets', () => {
  it('each event once, from the first dataset that has it', { timeout: 300_000 }, async () => {
    const parts = fc.array(unique, { minLength: 2, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(parts, unique, how, async (primaries, friend, asked) => {
        const all = primaries.flat();
        const seen = new Set<string>();
        const once = all.filter((row) => !seen.has(keyOf(row)) && seen.add(keyOf(row)));
        const groups = groupsOf(primaries);
        const friends = [datasetOf('f1', friend, [])];
        const bounds = groups.slice(0, -1).map(({ rowEnd }) => rowEnd);
        const whole = [datasetOf('primary', all, bounds), ...friends];
        const plan = await planOf(whole, asked, { groups });
        const clean = [datasetOf('primary', once, []), ...friends];
        const wanted = await planOf(clean, asked);
        expect((await written(plan, whole)).columns).toEqual((await written(wanted, clean)).columns);
        const count = (p: typeof plan) => p.sources.map(({ matched, missing, extra }) => ({ matched, missing, extra }));
        expect(count(plan)).toEqual(count(wanted));
        expect(plan.sources[0]!.duplicates).toBe(all.length - once.length);
        const pairs = new Map<string, number>();
        primaries.forEach((part, g) => {
          for (const row of part) {
            const owner = primaries.findIndex((other) => other.some((candidate) => keyOf(candidate) === keyOf(row)));
            if (owner < g) pairs.set(`${owner} ${g}`, (pairs.get(`${owner} ${g}`) ?? 0) + 1);
          }
        });
        const stated = plan.overlaps.map(({ kept, dropped, rows }) => [`${kept.slice(2)} ${dropped.slice(2)}`, rows]);
        expect(new Map(stated as [string, number][])).toEqual(pairs);
      }),
      { numRuns: CASES },
    );
  });

  it('an event twice in one dataset is an error, in whichever, also when an earlier one has it too', {
    timeout: 300_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(unique, { minLength: 2, maxLength: 3 }),
        fc.nat(),
        fc.nat(),
        async (primaries, pickGroup, pickRow) => {
          const full = primaries.flatMap((part, g) => (part.length > 0 ? [g] : []));
          fc.pre(full.length > 0);
          const g = full[pickGroup % full.length]!;
          const part = primaries[g]!;
          const doubled = primaries.map((each, i) => (i === g ? [...part, part[pickRow % part.length]!] : each));
          const run = () => planOf([datasetOf('primary', doubled.flat(), [])], 'left', { groups: groupsOf(doubled) });
          await expect(run()).rejects.toThrow(`"${labelOf(g)}" has the same event twice`);
          await expect(run()).rejects.toMatchObject({ code: 'join/duplicate-key' });
        },
      ),
      { numRuns: CASES / 4 },
    );
  });

  it('a friend must have each event once all the same', async () => {
    const row: Row = { run: 1, lumi: 1, event: 7n, value: 1, items: [] };
    const datasets = [datasetOf('primary', [row, row], [1]), datasetOf('f1', [row, row], [1])];
    const groups = groupsOf([[row], [row]]);
    await expect(planOf(datasets, 'left', { groups })).rejects.toThrow(ColweaveError);
  });
});

describe('files of a size', () => {
  it('hold every row once, in order, none too many, and answer for every row of the sources', {
    timeout: 300_000,
  }, async () => {
    const size = fc.oneof(
      fc.record({ events: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ bytes: fc.integer({ min: 1, max: 12 }) }),
      fc.constant({}),
    );
    await fc.assert(
      fc.asyncProperty(unique, unique, unique, how, size, async (primary, one, two, asked, partSize) => {
        const friends = [datasetOf('f1', one, []), datasetOf('f2', two, [])].slice(0, asked === 'right' ? 1 : 2);
        const datasets = [datasetOf('primary', primary, [3, 9]), ...friends];
        const { parts, rowsOut, sources } = await planOf(datasets, asked, { perFile: true, partSize });
        expect(new Set(parts.map(({ name }) => name)).size).toBe(parts.length);
        expect(parts[0]!.start).toBe(0);
        expect(parts.at(-1)!.end).toBe(rowsOut);
        parts.slice(1).forEach((part, i) => {
          expect(part.start).toBe(parts[i]!.end);
        });
        const limit = 'events' in partSize ? partSize.events : 'bytes' in partSize ? partSize.bytes : Infinity;
        for (const { start, end } of parts) expect(end - start).toBeLessThanOrEqual(limit);
        for (const [s, { map, dataset }] of sources.entries()) {
          const own = parts.filter((part) => part.of?.source === s);
          if (s === 0 || own.length > 0) {
            expect(own[0]!.of!.start).toBe(0);
            expect(own.at(-1)!.of!.end).toBe(dataset.rows);
          }
          own.slice(1).forEach((part, i) => {
            expect(part.of!.start).toBe(own[i]!.of!.end);
          });
          // a row of the output is made from a row that its file answers for
          for (const { start, end, of } of own) {
            for (let row = start; row < end; row++) {
              const at = map === undefined ? row : map[row]!;
              expect(at >= of!.start && at < of!.end).toBe(true);
            }
          }
        }
      }),
      { numRuns: CASES },
    );
  });
});
