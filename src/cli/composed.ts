// Owns what a join's options are once its compose file, if any, has been read: the command line wins.
import type { Command } from 'commander';
import type { SourceWords } from '../command/types.ts';

export interface Composed<Values> {
  readonly primary: readonly string[];
  readonly friends: readonly SourceWords[];
  readonly values: Values;
  /** Where the words came from, as the command wants to know it. */
  readonly origin: { readonly composeFile?: string; readonly base?: string };
}

/** The reader of YAML is loaded when there is a file to read. Errors: those of the compose file. */
export async function composedOptions<Values extends object>(
  command: Command,
  path: string | undefined,
  words: { readonly primary: readonly string[]; readonly friends: readonly SourceWords[] },
): Promise<Composed<Values>> {
  if (path === undefined) return { ...words, values: command.opts<Values>(), origin: {} };
  const { readCompose } = await import('./compose.ts');
  const { base, primary, friends } = readCompose(path, command);
  const own = words.primary.length > 0;
  return {
    primary: own ? words.primary : primary,
    friends: words.friends.length > 0 ? words.friends : friends,
    values: command.opts<Values>(),
    origin: { composeFile: path, ...(own || base === undefined ? {} : { base }) },
  };
}
