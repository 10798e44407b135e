// Colours: chalk on a terminal, plain text elsewhere and always under NO_COLOR.
import { Chalk } from 'chalk';

export type Paint = (text: string) => string;

export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly warn: Paint;
}

const same: Paint = (text) => text;
export const PLAIN: Style = { bold: same, dim: same, good: same, bad: same, warn: same };

export function styleFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): Style {
  const noColor = env.NO_COLOR !== undefined && env.NO_COLOR !== '';
  if (stream.isTTY !== true || noColor || env.TERM === 'dumb') return PLAIN;
  const chalk = new Chalk({ level: 1 });
  return { bold: chalk.bold, dim: chalk.dim, good: chalk.green, bad: chalk.red, warn: chalk.yellow };
}
