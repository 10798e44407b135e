// Owns the worker threads: jobs by name, run on whichever thread is free; a dead thread fails what it was doing.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { invariant } from '../core/check.ts';
import { ColweaveError, type ErrorCode } from '../core/errors.ts';

/** What a worker does with an input; `transfer` names the buffers of the output that move instead of being copied. */
export type Job = (input: never) => Promise<{ readonly output: unknown; readonly transfer?: readonly ArrayBuffer[] }>;

export interface Pool {
  readonly size: number;
  /** Runs a job on the next free thread, or on thread `seat` of 0 .. size. Errors thrown there are thrown here, with their code. */
  run(job: string, input: unknown, seat?: number): Promise<unknown>;
  /** Runs a job once on every thread, such as one that sets up what the others need. */
  everywhere(job: string, input: unknown): Promise<void>;
  close(): Promise<void>;
}

interface Request {
  readonly id: number;
  readonly job: string;
  readonly input: unknown;
}
interface Failure {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly stack?: string;
  readonly where?: readonly string[];
  readonly near?: readonly string[];
  readonly hint?: string;
  readonly details?: readonly string[];
}
interface Response {
  readonly id: number;
  /** What the thread counted since its last answer. */
  readonly counted?: unknown;
  readonly output?: unknown;
  readonly failure?: Failure;
}

/** Threads count apart: a worker's counts ride on its answers, and are added up in the main thread. */
export interface Counting {
  /** undefined: nothing was counted since the last call. */
  readonly take: () => unknown;
  readonly add: (counted: unknown) => void;
}

let counting: Counting | undefined;

/** Called once in each thread, before it starts or serves a pool. */
export function setCounting(kind: Counting): void {
  counting = kind;
}

/** Marks our workers, so that the one entry file knows its role; `kind`: of the jobs that the thread loads at once. */
interface Role {
  readonly role: 'colweave-worker';
  readonly kind?: string;
}
/** Jobs work on typed arrays outside the heap: a small young generation costs no time and saves 20 MB a thread. */
const LIMITS = { maxYoungGenerationSizeMb: 4 };
const jobs = new Map<string, Job>();
let entry: URL | undefined;

/** The file that workers start: the program's own entry, which calls `serveJobs` when it is not the main thread. */
export function setWorkerEntry(url: URL): void {
  entry = url;
}

export function isPoolWorker(): boolean {
  return !isMainThread && (workerData as Partial<Role> | null)?.role === 'colweave-worker';
}

export function registerJob(name: string, job: Job): void {
  jobs.set(name, job);
}

/** Registers the jobs whose names begin with `KIND/`. */
export type LoadJobs = Readonly<Record<string, () => Promise<void>>>;

/** The worker's side: answers requests one at a time until the pool closes. A thread loads the kinds of jobs that it gets. */
export function serveJobs(kinds: LoadJobs): void {
  const port = parentPort;
  invariant(port !== null, 'serveJobs runs in a worker');
  const { kind } = workerData as Role;
  if (kind !== undefined) kinds[kind]?.().catch(() => {}); // the first job of the kind tells
  port.on('message', async ({ id, job, input }: Request) => {
    try {
      if (!jobs.has(job)) await kinds[job.split('/')[0]!]?.();
      const run = jobs.get(job);
      invariant(run !== undefined, `a job named ${job}`);
      const { output, transfer } = await run(input as never);
      port.postMessage({ id, output, ...counted() } satisfies Response, [...(transfer ?? [])]);
    } catch (error) {
      port.postMessage({ id, failure: describe(error), ...counted() } satisfies Response);
    }
  });
}

function counted(): Pick<Response, 'counted'> {
  const since = counting?.take();
  return since === undefined ? {} : { counted: since };
}

function describe(error: unknown): Failure {
  if (error instanceof ColweaveError) {
    const { code, message, where, near, hint, details } = error;
    return { code, message, where, near, hint, details };
  }
  return error instanceof Error ? { message: error.message, stack: error.stack ?? '' } : { message: String(error) };
}

function revive({ code, message, stack, ...detail }: Failure): Error {
  if (code !== undefined) return new ColweaveError(code, message, detail);
  const error = new Error(message);
  error.stack = stack ?? error.stack ?? '';
  return error;
}

interface Pending {
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: Error) => void;
}
interface Seat {
  readonly pending: Map<number, Pending>;
  post(request: Request): void;
  close(): Promise<unknown>;
}

/** Starts `size` threads; jobs of a `kind` that will come are loaded while this thread is still busy with something else. */
export function startPool(size: number, kind?: string): Pool {
  invariant(entry !== undefined, 'the worker entry is set at start-up');
  const url = entry;
  let next = 0;
  const waiting: { readonly request: Request; readonly pending: Pending; readonly seat: number | undefined }[] = [];
  const data: Role = { role: 'colweave-worker', ...(kind === undefined ? {} : { kind }) };
  const seats = Array.from({ length: size }, () =>
    seatOf(new Worker(url, { workerData: data, stderr: false, resourceLimits: LIMITS }), () => drain()),
  );
  const post = ({ pending, post: send }: Seat, request: Request, promise: Pending) => {
    pending.set(request.id, promise);
    send(request);
  };
  const drain = () => {
    for (const [at, seat] of seats.entries()) {
      if (seat.pending.size > 0) continue;
      const first = waiting.findIndex((item) => item.seat === undefined || item.seat === at);
      if (first < 0) continue;
      const [item] = waiting.splice(first, 1);
      post(seat, item!.request, item!.pending);
    }
  };
  return {
    size,
    run: (job, input, seat) =>
      new Promise((resolve, reject) => {
        waiting.push({ request: { id: next++, job, input }, pending: { resolve, reject }, seat });
        drain();
      }),
    everywhere: async (job, input) => {
      await Promise.all(
        seats.map(
          (seat) => new Promise((resolve, reject) => post(seat, { id: next++, job, input }, { resolve, reject })),
        ),
      );
    },
    close: async () => {
      await Promise.all(seats.map((seat) => seat.close()));
    },
  };
}

function seatOf(worker: Worker, free: () => void): Seat {
  const pending = new Map<number, Pending>();
  worker.on('message', ({ id, output, failure, counted }: Response) => {
    if (counted !== undefined) counting?.add(counted);
    const promise = pending.get(id);
    pending.delete(id);
    free();
    if (failure !== undefined) promise?.reject(revive(failure));
    else promise?.resolve(output);
  });
  const fail = (error: Error) => {
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`a worker thread ended with status ${code}`)));
  return { pending, post: (request) => worker.postMessage(request), close: () => worker.terminate() };
}
