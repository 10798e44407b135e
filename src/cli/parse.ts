// From words to a called action: takes --with apart, lets commander parse the rest, and turns its errors into ours.
import { type Command, CommanderError } from 'commander';
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import { type Actions, type Defined, defineProgram, takesValue } from './program.ts';
import { splitWith } from './split-with.ts';

/** `print` gets help and version texts, which end the run with 0. */
export async function parseAndRun(
  argv: readonly string[],
  actions: Actions,
  print: (text: string) => void,
): Promise<void> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    throw new ColweaveError('usage/bad-option', 'no command is named', { hint: 'colweave --help lists the commands' });
  }
  const { join } = defineProgram(actions);
  const split = name === 'join' ? splitWith(rest, (flag) => takesValue(join, flag)) : { words: rest, friends: [] };
  const defined = defineProgram(actions, split.friends);
  for (const command of [
    defined.program,
    defined.join,
    defined.verify,
    defined.schema,
    defined.fetch,
    defined.infer,
    defined.bench,
  ]) {
    command.exitOverride().configureOutput({ writeOut: print, writeErr: () => {}, outputError: () => {} });
  }
  try {
    await defined.program.parseAsync([name, ...split.words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(error, defined, name);
  }
}

function usageError(
  error: CommanderError,
  { program, join, verify, schema, fetch, infer, bench }: Defined,
  name: string,
): ColweaveError {
  const command = [join, verify, schema, fetch, infer, bench].find((each) => each.name() === name) ?? program;
  const hint = `see colweave ${command === program ? '' : `${command.name()} `}--help`;
  const text = error.message
    .replace(/^error: /, '')
    .replaceAll("'", '"')
    .replace(/[<>]/g, '');
  const message = text.split('\n')[0]!.replace(/\.$/, '');
  const bad = /^option "(.+)" argument "(.*)" is invalid\. (.+)$/s.exec(message);
  if (bad !== null) return badValue(command, bad[1]!, bad[2]!, bad[3]!);
  const [, word] = /unknown (?:option|command) "([^"]+)"/.exec(message) ?? [];
  const names =
    error.code === 'commander.unknownCommand' ? program.commands.map((each) => each.name()) : optionNames(command);
  const near = word === undefined ? [] : nearestNames(word.replace(/=.*/, ''), names);
  return new ColweaveError('usage/bad-option', message, { near, hint });
}

function badValue(command: Command, term: string, value: string, rule: string): ColweaveError {
  const flag = term.split(' ').find((part) => part.startsWith('--')) ?? term;
  const choices = command.options.find(({ long }) => long === flag)?.argChoices ?? [];
  return new ColweaveError('usage/bad-option', `${flag} cannot be "${value}"`, {
    near: nearestNames(value, choices, 1),
    hint: `${rule.charAt(0).toLowerCase()}${rule.slice(1).replace(/\.$/, '')}`,
  });
}

const optionNames = (command: Command): string[] => command.options.flatMap(({ long }) => (long == null ? [] : [long]));
