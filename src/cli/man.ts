// Manual pages made from the definitions in program.ts and the catalogue of errors; `npm run man` writes them.
import type { Command, Option } from 'commander';
import { ERRORS } from '../core/errors.ts';
import { FINDINGS, type FindingCode } from '../verify/findings.ts';
import { optionTerm } from './define.ts';
import { FINDING_MEANING } from './finding-prose.ts';
import { defineProgram, PROSE } from './program.ts';
import type { Prose } from './prose.ts';

/** File name under man/ and text of each generated page. */
export function manPages(version: string): ReadonlyMap<string, string> {
  const nothing = async () => {};
  const { program, join, verify, schema, fetch, infer, bench } = defineProgram({
    join: nothing,
    verify: nothing,
    schema: nothing,
    fetch: nothing,
    cacheTask: nothing,
    infer: nothing,
    describe: nothing,
    benchJoin: nothing,
    benchFloor: nothing,
  });
  return new Map([
    ['colweave.1', programPage(program, [join, verify, schema, fetch, infer, bench], version)],
    ['colweave-join.1', commandPage(join, version)],
    ['colweave-verify.1', commandPage(verify, version)],
    ['colweave-schema.1', commandPage(schema, version)],
    ['colweave-fetch.1', commandPage(fetch, version)],
    ['colweave-infer.1', commandPage(infer, version)],
    ['colweave-bench.1', commandPage(bench, version)],
    ['colweave-errors.7', errorsPage(version)],
  ]);
}

/** Text as roff: no backslash, hyphen or first dot is taken for something else. */
function roff(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replace(/^\./, '\\&.');
}

const heading = (title: string): string => `.SH ${title.includes(' ') ? `"${title}"` : title}`;
const paragraphs = (texts: readonly string[]): string[] => texts.flatMap((text) => ['.PP', roff(text)]);
const item = (term: string, text: string): string[] => ['.TP', `\\fB${roff(term)}\\fR`, roff(text)];

function top(name: string, section: number, summary: string, version: string): string[] {
  return [
    '.\\" made by `npm run man`: change src/cli/prose.ts, src/cli/program.ts or src/core/errors.ts instead',
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} ${section} "" "colweave ${version}" "colweave manual"`,
    heading('NAME'),
    `${roff(name)} \\- ${roff(summary)}`,
  ];
}

const page = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

function programPage(program: Command, commands: readonly Command[], version: string): string {
  const prose = PROSE['']!;
  return page([
    ...top('colweave', 1, prose.summary, version),
    heading('SYNOPSIS'),
    `.B colweave\n${roff(program.usage())}`,
    heading('DESCRIPTION'),
    ...paragraphs(prose.paragraphs),
    heading('COMMANDS'),
    ...commands.flatMap((command) => item(`colweave-${command.name()}(1)`, command.summary())),
    heading('OPTIONS'),
    ...program.createHelp().visibleOptions(program).flatMap(optionItem),
    ...tail(prose),
  ]);
}

function commandPage(command: Command, version: string): string {
  const name = command.name();
  const prose = PROSE[name]!;
  const help = command.createHelp();
  const groups = Map.groupBy(help.visibleOptions(command), (option) => option.helpGroupHeading ?? 'Talking:');
  return page([
    ...top(`colweave-${name}`, 1, prose.summary, version),
    heading('SYNOPSIS'),
    `.B colweave ${name}\n${roff(command.usage())}`,
    heading('DESCRIPTION'),
    ...paragraphs(prose.paragraphs),
    heading('ARGUMENTS'),
    ...help.visibleArguments(command).flatMap((argument) => item(help.argumentTerm(argument), argument.description)),
    heading('OPTIONS'),
    ...[...groups].flatMap(([title, options]) => [`.SS ${title.replace(/:$/, '')}`, ...options.flatMap(optionItem)]),
    ...(name === 'verify' ? findings() : []),
    ...tail(prose),
  ]);
}

function findings(): string[] {
  const codes = Object.keys(FINDINGS) as FindingCode[];
  return [
    heading('FINDINGS'),
    ...codes.flatMap((code) => item(code, `${FINDING_MEANING[code]} What to do: ${FINDINGS[code].hint}.`)),
  ];
}

function optionItem(option: Option): string[] {
  const notes: string[] = [];
  if (option.argChoices !== undefined) notes.push(`One of ${option.argChoices.join(', ')}.`);
  const standard: unknown = option.defaultValueDescription ?? option.defaultValue;
  if (typeof standard === 'string') notes.push(`Default: ${standard}.`);
  return item(optionTerm(option), [`${option.description}.`, ...notes].join(' '));
}

function tail(prose: Prose): string[] {
  return [
    ...prose.sections.flatMap(({ title, paragraphs: texts }) => [heading(title), ...paragraphs(texts)]),
    heading('EXIT STATUS'),
    ...prose.exits.flatMap(([status, text]) => item(String(status), text)),
    heading('EXAMPLES'),
    ...prose.examples.flatMap(({ does, line }) => [
      '.PP',
      `${roff(does)}:`,
      '.PP',
      '.in +4n',
      '.nf',
      roff(line),
      '.fi',
      '.in',
    ]),
    heading('SEE ALSO'),
    prose.seeAlso.map((name) => roff(name)).join(',\n'),
  ];
}

const EXIT_TITLES: Readonly<Record<number, string>> = {
  1: 'the data say no',
  2: 'the command line is wrong',
  3: 'an input is missing, unreadable or not what it should be',
  4: 'credentials are missing or refused',
  5: 'the output cannot be written',
  6: 'memory or scratch space would not suffice',
  70: 'a bug in colweave',
  75: 'try again later',
};

function errorsPage(version: string): string {
  const codes = Object.entries(ERRORS);
  const statuses = [...new Set(codes.map(([, { exit }]) => exit))].sort((left, right) => left - right);
  return page([
    ...top('colweave-errors', 7, 'messages of colweave, what they mean and what to do', version),
    heading('DESCRIPTION'),
    ...paragraphs([
      'A message starts with the command and a code, then says what is wrong, where, and which names come nearest; lines below it give evidence, a hint and causes. With --json the last line is an object of type "error" with the fields code, exit, message, where, near, hint and details. Codes are kept from version to version.',
      'A run that was stopped by signal n ends with 128 + n.',
    ]),
    ...statuses.flatMap((status) => [
      `.SH "EXIT STATUS ${status}: ${roff(EXIT_TITLES[status] ?? '').toUpperCase()}"`,
      ...codes
        .filter(([, { exit }]) => exit === status)
        .flatMap(([code, { meaning, remedy }]) => item(code, `${capital(meaning)}. What to do: ${remedy}.`)),
    ]),
    heading('SEE ALSO'),
    'colweave(1),\ncolweave\\-join(1),\ncolweave\\-verify(1)',
  ]);
}

const capital = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
