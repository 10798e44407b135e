// Owns which seat works on what: what others wait for goes first, each seat's own stretch of work fills the gaps.

/** Work that a seat can do. */
type Work<T> = (seat: number) => Promise<T>;

export interface Schedule {
  /** On the next free seat, before anything that can wait; in the order of the calls. */
  soon<T>(work: Work<T>): Promise<T>;
  /** On this seat after what was given to it before; on another one that has nothing left of its own. */
  later<T>(seat: number, work: Work<T>): Promise<T>;
  /** Begins nothing more, and waits for what is going on. */
  stop(): Promise<void>;
}

type Item = (seat: number) => Promise<void>;

/** After `signal` whatever is not begun fails with its reason. */
export function startSchedule(width: number, signal?: AbortSignal): Schedule {
  const urgent: Item[] = [];
  const stretches = Array.from({ length: width }, (): Item[] => []);
  const idle = new Set(stretches.keys());
  const going = new Set<Promise<void>>();
  let stopped = false;
  const nextFor = (seat: number): Item | undefined => {
    if (stopped) return undefined;
    const longest = () => stretches.reduce((best, other) => (other.length > best.length ? other : best));
    return urgent.shift() ?? stretches[seat]!.shift() ?? longest().pop();
  };
  const begin = () => {
    for (const seat of idle) {
      const item = nextFor(seat);
      if (item === undefined) continue;
      idle.delete(seat);
      const run = item(seat).finally(() => {
        going.delete(run);
        idle.add(seat);
        begin();
      });
      going.add(run);
    }
  };
  const add = <T>(list: Item[], work: Work<T>): Promise<T> => {
    const result = new Promise<T>((resolve, reject) => {
      const begun = async (seat: number) => {
        signal?.throwIfAborted();
        return work(seat);
      };
      list.push((seat) => begun(seat).then(resolve, reject));
    });
    queueMicrotask(begin);
    return result;
  };
  return {
    soon: (work) => add(urgent, work),
    later: (seat, work) => add(stretches[seat % width]!, work),
    async stop() {
      stopped = true;
      await Promise.all(going);
    },
  };
}
