// How errors, findings and progress look.
import { expect, test } from 'vitest';
import { asColweaveError, isBrokenPipe } from '../../src/cli/exit.ts';
import { lineProgress } from '../../src/cli/progress.ts';
import { errorLine } from '../../src/cli/render-json.ts';
import { renderError, table } from '../../src/cli/render-text.ts';
import { renderVerify } from '../../src/cli/render-verify.ts';
import { styleFor } from '../../src/cli/style.ts';
import type { VerifyReport } from '../../src/command/types.ts';
import { ColweaveError } from '../../src/core/errors.ts';

const noColumn = new ColweaveError('source/no-column', 'no column "Jet_ptt"', {
  where: ['b.root', 'Events'],
  near: ['Jet_pt', 'Jet_eta'],
  hint: 'look again',
  details: ['first: this'],
  cause: new Error('outer', { cause: new Error('inner') }),
});

test('an error is one line to grep, then evidence, hint and causes', () => {
  expect(renderError('colweave join', noColumn, false)).toEqual([
    'colweave join: source/no-column: no column "Jet_ptt" in b.root:Events (nearest: Jet_pt, Jet_eta)',
    '  first: this',
    '  hint: look again',
    '  caused by: outer',
    '  caused by: inner',
  ]);
});

test('places in words are told apart by a comma; a file as a whole by a colon', () => {
  const deep = new ColweaveError('source/damaged', 'bad block', { where: ['b.root', 'Events', 'entry 7'], hint: '' });
  expect(renderError('c', deep, false)).toEqual(['c: source/damaged: bad block in b.root:Events, entry 7']);
  const gone = new ColweaveError('source/not-found', 'no such file', { where: ['b.root'], hint: '' });
  expect(renderError('c', gone, false)).toEqual(['c: source/not-found: no such file: b.root']);
});

test('as JSON an error has the same fields', () => {
  expect(JSON.parse(errorLine('colweave join', noColumn))).toEqual({
    type: 'error',
    command: 'colweave join',
    code: 'source/no-column',
    exit: 2,
    message: 'no column "Jet_ptt"',
    where: ['b.root', 'Events'],
    near: ['Jet_pt', 'Jet_eta'],
    hint: 'look again',
    details: ['first: this'],
  });
});

test('unknown errors: a full disk and memory are told from a bug, and only --debug shows a stack', () => {
  expect(asColweaveError(Object.assign(new Error('write'), { code: 'ENOSPC' })).code).toBe('output/disk-full');
  expect(asColweaveError(new RangeError('Array buffer allocation failed')).code).toBe('memory/not-enough');
  const bug = asColweaveError(new TypeError('x is undefined'));
  expect(bug.exit).toBe(70);
  expect(renderError('c', bug, false).join('\n')).not.toContain('  at ');
  expect(renderError('c', bug, true).join('\n')).toContain('  at ');
  expect(isBrokenPipe(new Error('x', { cause: Object.assign(new Error('y'), { code: 'EPIPE' }) }))).toBe(true);
  expect(isBrokenPipe(new Error('x'))).toBe(false);
});

test('a finding names columns, lumis, offenders and what to do', () => {
  const report: VerifyReport = {
    files: [
      {
        path: 'x.parquet',
        verdict: 'mixed-or-damaged',
        rows: 1000,
        columns: 3,
        against: true,
        findings: [
          {
            code: 'verify/column-differs',
            text: 'values moved',
            count: 2,
            columns: ['Jet_pt'],
            lumis: ['1:5'],
            first: [{ key: 'run 1, luminosityBlock 5, event 7', file: 'b.root', entry: 12 }],
            hint: 'join again',
          },
        ],
      },
    ],
  };
  expect(renderVerify(report)).toEqual([
    'x.parquet: NOT what was joined: mixed or damaged (1,000 rows, 3 columns)',
    '  verify/column-differs: values moved (2)',
    '    columns: Jet_pt',
    '    run:lumi: 1:5',
    '    run 1, luminosityBlock 5, event 7 (b.root, entry 12)',
    '    hint: join again',
  ]);
});

test('tables', () => {
  expect(
    table(
      [
        ['a', 'n', 'why'],
        ['long', '10', ''],
      ],
      [1],
    ),
  ).toEqual(['  a      n  why', '  long  10']);
  expect(table([])).toEqual([]);
});

test('without a terminal progress is a line each 30 seconds', () => {
  let now = 0;
  const lines: string[] = [];
  const progress = lineProgress(
    'colweave join',
    (text) => lines.push(text),
    () => now,
  );
  for (now = 0; now <= 70_000; now += 5000) progress.update({ stage: 'read', done: now, total: 100_000 });
  expect(lines).toEqual([
    'colweave join: read 30,000 of 100,000 (30%)\n',
    'colweave join: read 60,000 of 100,000 (60%)\n',
  ]);
});

test('colours need a terminal and no NO_COLOR', () => {
  expect(styleFor({ isTTY: true }, {}).bad('x')).not.toBe('x');
  expect(styleFor({ isTTY: true }, { NO_COLOR: '' }).bad('x')).not.toBe('x');
  expect(styleFor({ isTTY: true }, { NO_COLOR: '1' }).bad('x')).toBe('x');
  expect(styleFor({ isTTY: true }, { TERM: 'dumb' }).bad('x')).toBe('x');
  expect(styleFor({}, {}).bad('x')).toBe('x');
});
