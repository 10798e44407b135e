// Tasks on several threads: results in order, neighbours together, a bounded number ahead, nothing begun after an error.
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inOrder, type Lane } from '../../src/join/lanes.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

test('results come in order, whatever the threads, and neighbours share a thread', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1 }),
      async (count, width, runMax, delays) => {
        const lanes = new Map<number, Lane>();
        const begun: number[] = [];
        let aheadMax = 0;
        const seen: number[] = [];
        const work = async (task: number, lane: Lane) => {
          lanes.set(task, lane);
          begun.push(task);
          aheadMax = Math.max(aheadMax, task - seen.length);
          await sleep(delays[task % delays.length]!);
          return 2 * task;
        };
        for await (const { task, result } of inOrder(numbers(count), { width, runMax, share: 0.5 }, work)) {
          expect(result).toBe(2 * task);
          seen.push(task);
        }
        expect(seen).toEqual(numbers(count));
        expect([...begun].sort((a, b) => a - b)).toEqual(numbers(count));
        expect(aheadMax).toBeLessThanOrEqual(width > 1 ? width * runMax + runMax : 0);
        for (const [task, { seat, goesOn }] of lanes) {
          if (goesOn) expect(lanes.get(task + 1)!.seat).toBe(seat);
          if (width === 1) expect(goesOn).toBe(task + 1 < count);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('a thread gets neighbours, fewer towards the end', async () => {
  const goesOn: boolean[] = [];
  const work = async (task: number, lane: Lane) => {
    goesOn[task] = lane.goesOn;
    await sleep(1);
  };
  for await (const _ of inOrder(numbers(16), { width: 2, runMax: 3, share: 0.5 }, work));
  const runs = goesOn.reduce<number[]>((lengths, _, i) => {
    if (i > 0 && goesOn[i - 1]) lengths.push(lengths.pop()! + 1);
    else lengths.push(1);
    return lengths;
  }, []);
  expect(runs).toEqual([3, 3, 3, 2, 2, 1, 1, 1]);
});

test('tasks of one seat begin in their order', async () => {
  const begun = new Map<number, number[]>();
  const work = async (task: number, { seat }: Lane) => {
    begun.set(seat, [...(begun.get(seat) ?? []), task]);
    await sleep(task % 3);
  };
  for await (const _ of inOrder(numbers(30), { width: 3, runMax: 2, share: 0.5 }, work));
  for (const tasks of begun.values()) expect(tasks).toEqual([...tasks].sort((a, b) => a - b));
});

test('a failure is thrown in its turn, and nothing is begun after it', async () => {
  let begun = 0;
  const work = async (task: number) => {
    begun++;
    await sleep(1);
    if (task === 5) throw new Error('task 5');
    return task;
  };
  const seen: number[] = [];
  const all = async () => {
    for await (const { task } of inOrder(numbers(1000), { width: 2, runMax: 2, share: 0.5 }, work)) seen.push(task);
  };
  await expect(all()).rejects.toThrow('task 5');
  expect(seen).toEqual([0, 1, 2, 3, 4]);
  const before = begun;
  await sleep(20);
  expect(begun).toBe(before);
  expect(begun).toBeLessThan(15);
});
