// Progress on standard error: a bar on a terminal, otherwise a line each 30 seconds.
import { formatCount } from '../core/text.ts';

export interface ProgressStep {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

export interface Progress {
  update(step: ProgressStep): void;
  /** Takes the bar away, so that other text can be printed. */
  clear(): void;
}

const LINE_EVERY_MS = 30_000;
export const SILENT: Progress = { update: () => {}, clear: () => {} };

/** The first line comes after 30 seconds too: a short job prints none. */
export function lineProgress(prefix: string, write: (text: string) => void, now: () => number = Date.now): Progress {
  let last = now();
  return {
    update(step) {
      if (now() - last < LINE_EVERY_MS) return;
      last = now();
      write(`${prefix}: ${stepText(step)}\n`);
    },
    clear: () => {},
  };
}

function stepText({ stage, done, total }: ProgressStep): string {
  if (total <= 0) return `${stage} ${formatCount(done)}`;
  return `${stage} ${formatCount(done)} of ${formatCount(total)} (${Math.floor((100 * done) / total)}%)`;
}

/** cli-progress is loaded only where there is a terminal to draw on. */
export async function barProgress(stream: NodeJS.WriteStream): Promise<Progress> {
  const { SingleBar } = (await import('cli-progress')).default;
  let bar: InstanceType<typeof SingleBar> | undefined;
  let stage = '';
  const clear = () => {
    bar?.stop();
    bar = undefined;
  };
  return {
    update(step) {
      if (bar === undefined || stage !== step.stage) {
        clear();
        stage = step.stage;
        bar = new SingleBar({
          stream,
          format: `{stage} [{bar}] {percentage}% {value}/{total}`,
          barsize: 30,
          hideCursor: false,
          clearOnComplete: true,
          fps: 8,
        });
        bar.start(step.total, step.done, { stage });
      } else {
        bar.setTotal(step.total);
        bar.update(step.done);
      }
    },
    clear,
  };
}
