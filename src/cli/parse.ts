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
  for (const command of [defined.program, defined.join, defined.verify]) {
    command.exitOverride().configureOutput({ writeOut: print, writeErr: () => {}, outputError: () => {} });
  }
  try {
    await defined.program.parseAsync([name, ...split.words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(error, defined, name);
  }
}

function usageError(error: CommanderError, { program, join, verify }: Defined, name: string): ColweaveError {
  const command = [join, verify].find((each) => each.name() === name) ?? program;
  const [first] = error.message.replace(/^error: /, '').split('\n');
  const message = first!.replace(/\.$/, '').replaceAll("'", '"');
  const [, word] = /unknown (?:option|command) "([^"]+)"/.exec(message) ?? [];
  const names =
    error.code === 'commander.unknownCommand' ? program.commands.map((each) => each.name()) : optionNames(command);
  const spoken = command === program ? 'colweave' : `colweave ${command.name()}`;
  return new ColweaveError('usage/bad-option', message, {
    near: word === undefined ? [] : nearestNames(word.replace(/=.*/, ''), names),
    hint: `see ${spoken} --help`,
  });
}

const optionNames = (command: Command): string[] => command.options.flatMap(({ long }) => (long == null ? [] : [long]));
