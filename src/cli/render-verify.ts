// What verify found, as text for people: a line a file, its findings with first offenders and what to do next.
import type { LumiReport, RelationReport, VerifyReport } from '../command/types.ts';
import { formatCount } from '../core/text.ts';
import { few, plural, shape, table } from './render-text.ts';
import { PLAIN, type Style } from './style.ts';

const VERDICT = {
  verified: 'verified: every column holds what the receipt says',
  rewritten: 'rewritten by another tool, with equal content: every column holds what the receipt says',
  'mixed-or-damaged': 'NOT what was joined: mixed or damaged',
} as const;

const verdictOf = ({ verdict, parts }: VerifyReport['files'][number]): string =>
  parts === undefined
    ? VERDICT[verdict]
    : verdict === 'verified'
      ? 'the parts add up, each event once'
      : 'the parts do NOT add up';

export function renderVerify(report: VerifyReport, style: Style = PLAIN): string[] {
  const files = report.files.flatMap((file) => {
    const paint = file.verdict === 'mixed-or-damaged' ? style.bad : style.good;
    const parts = file.parts === undefined ? '' : ` in ${plural(file.parts, 'part')}`;
    const against = file.against && file.verdict !== 'mixed-or-damaged' ? ', and what the sources hold' : '';
    return [
      `${style.bold(file.path)}: ${paint(verdictOf(file) + against)} (${shape(file.rows, file.columns)}${parts})`,
      ...file.findings.flatMap((finding) => findingLines(finding, style)),
    ];
  });
  return [...files, ...relationLines(report.relation, style), ...lumiLines(report.lumis, style)];
}

const RELATION = {
  'same-events': ['the same events', 'NOT the same events'],
  'subset-of': ['every event is there too', 'NOT a subset'],
  disjoint: ['no event in common', 'NOT disjoint'],
} as const;

function relationLines(relation: RelationReport | undefined, style: Style): string[] {
  if (relation === undefined) return [];
  const { kind, holds, left, right, both, onlyLeft, onlyRight } = relation;
  const side = ({ files, rows }: RelationReport['left']) =>
    `${files.length === 1 ? files[0] : plural(files.length, 'file')} (${plural(rows, 'row')})`;
  const counts = `${formatCount(both)} in both, ${formatCount(onlyLeft)} only in the first, ${formatCount(onlyRight)} only in the second`;
  const verdict = holds ? style.good(RELATION[kind][0]) : style.bad(RELATION[kind][1]);
  return [
    `${style.bold(side(left))} and ${style.bold(side(right))}: ${verdict}: ${counts}`,
    ...relation.findings.flatMap((finding) => findingLines(finding, style)),
  ];
}

function lumiLines(report: LumiReport | undefined, style: Style): string[] {
  if (report === undefined) return [];
  const { blocks, events, empty, runs, written, findings } = report;
  const without = empty === undefined ? '' : `, ${formatCount(empty)} more without any (LuminosityBlocks)`;
  const lost = runs.filter(({ lostEvents }) => lostEvents > 0);
  const rows = lost.map((each) => [
    each.run,
    ...[each.blocks, each.lostBlocks, each.events, each.lostEvents].map(formatCount),
  ]);
  return [
    `lumi blocks: ${plural(events, 'event')} in ${plural(blocks, 'lumi block')}${without}${written === undefined ? '' : `, written to ${style.bold(written)}`}`,
    ...(runs.length > 0 && lost.length === 0 ? ['  the joins lost none of their primaries'] : []),
    ...(lost.length === 0 ? [] : table([['run', 'lumi blocks', 'lost', 'events', 'lost'], ...rows], [0, 1, 2, 3, 4])),
    ...findings.flatMap((finding) => findingLines(finding, style)),
  ];
}

type FileFinding = VerifyReport['files'][number]['findings'][number];

function findingLines(finding: FileFinding, style: Style): string[] {
  const lines = [`  ${style.warn(finding.code)}: ${finding.text} (${formatCount(finding.count)})`];
  if (finding.columns !== undefined && finding.columns.length > 0)
    lines.push(`    columns: ${few(finding.columns, 12)}`);
  if (finding.lumis !== undefined && finding.lumis.length > 0) lines.push(`    run:lumi: ${few(finding.lumis, 12)}`);
  for (const { key, file, entry } of finding.first ?? []) lines.push(`    ${key} (${file}, entry ${entry})`);
  if (finding.hint !== '') lines.push(`    hint: ${finding.hint}`);
  return lines;
}
