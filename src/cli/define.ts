// What the definitions of all commands are made of: commands, groups of options, and how the program talks.
import { Command, Option } from 'commander';
import type { Prose } from './prose.ts';

/** How the program talks, whatever the command. */
export interface Manners {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  /** Tells what travelled between here and servers. */
  readonly stats?: boolean;
}

export interface MannersValues {
  json?: true;
  quiet?: true;
  debug?: true;
  stats?: true;
}

export const manners = (values: MannersValues): Manners => ({
  json: values.json === true,
  quiet: values.quiet === true,
  debug: values.debug === true,
  ...(values.stats === true ? { stats: true } : {}),
});

export const option = (flags: string, text: string): Option => new Option(flags, text);

/** `--tree NAME`: the brackets that the parser wants are no help to a reader. */
export const optionTerm = (option: Option): string => option.flags.replace(/[<>]/g, '');

export function start(name: string, prose: Prose, usage: string): Command {
  return new Command(name)
    .summary(prose.summary)
    .description(prose.paragraphs.join('\n\n'))
    .usage(usage)
    .helpOption('-h, --help', 'print this help');
}

export function group(command: Command, heading: string, options: readonly Option[]): void {
  command.optionsGroup(heading);
  for (const each of options) command.addOption(each);
}

/** Only what was given: an option that is absent has no key. */
export function given<Values extends object>(values: Values): { [Name in keyof Values]?: NonNullable<Values[Name]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Values]?: NonNullable<Values[Name]>;
  };
}
