// The report of `colweave schema` as text.
import type { ColumnEntry, FileSchema, SchemaReport } from '../command/schema-types.ts';
import { formatBytes, formatCount } from '../core/text.ts';
import { table } from './render-text.ts';
import { PLAIN, type Style } from './style.ts';

export function renderSchema({ files }: SchemaReport, style: Style = PLAIN): string[] {
  return files.flatMap((file, i) => [...(i > 0 ? [''] : []), ...renderFile(file, style)]);
}

function renderFile(file: FileSchema, style: Style): string[] {
  const { path, tree, format, rows, bytes, key, columns, unreadable, redundant, others } = file;
  const place = tree === undefined ? path : `${path}:${tree}`;
  const stated = `${formatCount(rows)} rows, ${formatCount(columns.length)} columns, ${formatBytes(bytes)}`;
  const lines = [`${style.bold(place)}: ${format}, ${stated}`];
  lines.push(key === undefined ? '  key: none found' : `  key: ${key.name} (${key.columns.join(', ')})`);
  if (others.length > 0)
    lines.push(`  also in the file: ${others.map(({ name, type }) => `${name} (${type})`).join(', ')}`);
  lines.push(...table([HEAD, ...columns.map(columnRow)], [4, 5, 6]));
  if (unreadable.length > 0) lines.push('  cannot be read:');
  lines.push(...unreadable.map(({ name, type, reason }) => `    ${name} (${type}): ${reason}`));
  if (redundant.length > 0) lines.push(`  left out, said by other columns: ${redundant.join(', ')}`);
  return lines;
}

const HEAD = ['column', 'type', 'counter', 'codec', 'blocks', 'stored', 'raw', 'title'];

function columnRow(column: ColumnEntry): string[] {
  return [
    column.name,
    column.nullable ? `${column.type}?` : column.type,
    column.counter ?? '',
    column.codec,
    formatCount(column.blocks),
    formatBytes(column.storedBytes),
    formatBytes(column.rawBytes),
    column.doc ?? '',
  ];
}
