// What a process costs, as the system counts it: both ways to ask, and what happens when the bench is stopped.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, test } from 'vitest';
import { atExitMeasurer, lastLine, type Measurer, wait4Measurer } from '../../src/bench/measure.ts';
import { systemPython } from '../../src/bench/python.ts';

const MB = 1e6;
/** Fills 200 MB, and works a while. */
const WORK = `
  const filled = Buffer.alloc(200e6, 1);
  const end = process.cpuUsage().user + 100e3;
  while (process.cpuUsage().user < end);
  console.log(filled.length);
`;
const never = new AbortController().signal;
const node = (script: string, measurer: Measurer, signal = never) =>
  measurer.run({ words: [process.execPath, '-e', script] }, signal);

const python = systemPython();
const measurers: [string, Measurer][] = [['getrusage at the end', atExitMeasurer()]];
if (python !== undefined) measurers.push(['wait4', wait4Measurer(python)]);

describe.each(measurers)('%s', (name, measurer) => {
  it('counts time and memory of that process alone', async () => {
    const { usage, stdout, exit } = await node(WORK, measurer);
    expect({ stdout, exit }).toEqual({ stdout: '200000000\n', exit: 0 });
    expect(usage!.userSeconds).toBeGreaterThan(0.09);
    expect(usage!.wallSeconds).toBeGreaterThan(0.09);
    expect(usage!.peakBytes).toBeGreaterThan(200 * MB);
    const idle = await node('0', measurer);
    expect(idle.usage!.peakBytes, 'no memory of this process, nor of the one before').toBeLessThan(150 * MB);
    expect(idle.usage!.userSeconds).toBeLessThan(usage!.userSeconds);
    if (name === 'wait4' && process.platform === 'linux') expect(usage!.writtenBytes).toBeGreaterThanOrEqual(10);
  });

  it('tells how it ended, and what it said last', async () => {
    const { exit, stderr } = await node('console.error("first"); console.error("last"); process.exit(3)', measurer);
    expect(exit).toBe(3);
    expect(lastLine(stderr)).toBe('last');
  });

  it('ends it when it is stopped', async () => {
    const controller = new AbortController();
    const running = node('setInterval(() => {}, 1000)', measurer, controller.signal);
    await sleep(200);
    controller.abort(new Error('stop'));
    await expect(running).rejects.toThrow('stop');
  });
});

if (python === undefined) test.skip('wait4 (skipped: it wants a python3)', () => {});
