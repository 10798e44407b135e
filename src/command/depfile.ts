// Owns depfiles: what an output was made from, in the syntax of make, as compilers write it with -MD -MP.
import { isRemote } from '../bytes/remote.ts';
import { ColweaveError } from '../core/errors.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { writeIfOther } from './whole-file.ts';

/** What GNU make cannot have in the name of a file, however it is quoted. */
const NEVER = /[\n\r;()"]|\\$/;
/** A line with `=` is an assignment to make, unless the sign comes out of a variable. */
const EQUALS = 'colweave_equals';

/**
 * `target: inputs`, then each input as a target without rule, so that an input that was removed does not stop make.
 * Files on servers have no time that make could see: they are named in comments.
 * Errors: usage/bad-option for names that make cannot read.
 */
export function depfileText(target: string, inputs: readonly string[]): string {
  const all = [...new Set(inputs)];
  const names = all.filter((name) => !isRemote(name));
  const remote = all.filter(isRemote).map((name) => `\n# ${withoutSecrets(name).replace(/[\r\n]/g, ' ')}\n`);
  for (const name of [target, ...names]) if (NEVER.test(name)) throw unreadable(name);
  const equals = [target, ...names].some((name) => name.includes('=')) ? `${EQUALS} := =\n` : '';
  // a % in what a rule wants stands for itself, in what it makes it would be a pattern
  const rule = [`${escapeName(target, true)}:`, ...names.map((name) => `  ${escapeName(name, false)}`)].join(' \\\n');
  const free = names.map((name) => `\n${escapeName(name, true)}:\n`);
  return `${equals}${rule}\n${[...free, ...remote].join('')}`;
}

function unreadable(name: string): ColweaveError {
  return new ColweaveError('usage/bad-option', 'make cannot read the name of this file, so --depfile cannot name it', {
    where: [name],
    hint: 'rename it (no line end, semicolon, parenthesis or double quote), or leave out --depfile',
  });
}

/** A dollar is doubled, all else that means something to make gets a backslash; those in front of it are doubled then. */
function escapeName(name: string, isTarget: boolean): string {
  const special = isTarget ? /(\\*)([ \t#:*?[\]%])/g : /(\\*)([ \t#:*?[\]|])/g;
  return (name.startsWith('~') ? `./${name}` : name)
    .replace(special, '$1$1\\$2')
    .replaceAll('$', '$$$$')
    .replaceAll('=', `$(${EQUALS})`);
}

/** Errors: usage/bad-option, output/not-writable, output/disk-full. */
export function writeDepfile(path: string, target: string, inputs: readonly string[]): void {
  writeIfOther(path, depfileText(target, inputs));
}
