// A short soak of the command: servers killed, standing still and exchanged, the command killed and begun again with --resume. soak-command.ts is the long one.
import { expect, it } from 'vitest';
import { soakCommand } from './soak-command.ts';

const ROWS = 300_000;
const options = { rows: ROWS, kills: 1, secondsKilled: 2, batchRows: 100 };

it.each(['http', 'grpc'] as const)('%s: every event has its own score, once', async (protocol) => {
  const soaked = await soakCommand({ ...options, protocol });
  expect(soaked).toMatchObject({ exit: 0, verified: true, rows: ROWS, lost: 0, doubled: 0, wrong: 0, kills: 1 });
  // else nothing was tried
  expect(soaked.serverKills).toBeGreaterThan(0);
  expect(soaked.exchanges).toBeGreaterThan(0);
  expect(soaked.resumed).toBeGreaterThan(0);
  expect(soaked.differentScores).toBeGreaterThan(0.9 * ROWS);
  expect(soaked.peakMegabytes).toBeLessThan(400);
});
