// Owns the spreading of requests over servers: each is answered once and right, or fails with a reason; what fails is sent again elsewhere.
import { setTimeout as sleep } from 'node:timers/promises';
import { invariant } from '../core/check.ts';
import { ColweaveError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import { checkAgainstModel } from './check-answer.ts';
import { Gate } from './gate.ts';
import { type Answer, Job } from './job.ts';
import { type Policy, pauseOf } from './policy.ts';
import { Server, type ServerReport } from './server.ts';
import { givenUp, noAnswer, ServerError } from './server-error.ts';
import { halves, together } from './split.ts';
import { checkSpot, type SpotRows, SpotSampler } from './spot-check.ts';
import { checkSame, SOME, survey, versionDiffers } from './survey.ts';
import { rowsOf } from './tensor.ts';
import type { Endpoint, InferRequest, InferResponse, ModelInfo } from './types.ts';

export interface BalanceReport {
  readonly servers: readonly ServerReport[];
  /** Requests that were cut in two since a server took no larger one. */
  readonly halved: number;
  /** Rows that were asked again and agreed. */
  readonly spotRows: number;
}

export interface BalanceOptions {
  readonly endpoints: readonly Endpoint[];
  /** Whatever was found out at the start. */
  readonly info: ModelInfo;
  /** Those that answered at the start; the others are asked until they do. */
  readonly up: readonly Endpoint[];
  readonly policy: Policy;
  readonly emit: Emit;
}

/** Where a request begins to wait. */
interface Place {
  readonly avoid?: Server | undefined;
  readonly first?: boolean;
}

export class Balance {
  readonly info: ModelInfo;
  readonly #servers: readonly Server[];
  readonly #policy: Policy;
  readonly #emit: Emit;
  readonly #closing = new AbortController();
  readonly #queue: Job[] = [];
  readonly #spots: SpotSampler;
  readonly #checks = new Set<Promise<void>>();
  /** Requests that are checks themselves. */
  readonly #asked = new WeakSet<InferRequest>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #proofs: NodeJS.Timeout;
  readonly #room = new Gate();
  #rowsMax: number;
  #halved = 0;
  #spotRows = 0;
  /** The version that answers where the server names none beforehand. */
  #version: string;
  /** Nothing that comes after it would be right. */
  #fatal: unknown;

  constructor({ endpoints, info, up, policy, emit }: BalanceOptions) {
    this.info = info;
    this.#policy = policy;
    this.#emit = emit;
    this.#version = info.version;
    this.#rowsMax = info.maxBatchSize || Number.POSITIVE_INFINITY;
    this.#spots = new SpotSampler(policy.spotFraction);
    this.#servers = endpoints.map((endpoint) => new Server(endpoint, policy));
    for (const server of this.#servers) {
      if (up.includes(server.endpoint)) server.back();
      else void this.#probe(server);
    }
    const prove = (): Promise<void> => this.#proveAll((server, failure) => this.#exclude(server, failure));
    this.#proofs = setInterval(() => void prove(), policy.proofMs);
    this.#proofs.unref();
  }

  /** Rows that the servers take at once, as far as is known; less after one refused a batch for its size. */
  get rowsMax(): number {
    return this.#rowsMax;
  }

  /** Resolves when one more request would not only wait behind others: await it before making the next batch. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#queue.length > 0 && this.#fatal === undefined) {
      signal.throwIfAborted();
      await this.#room.wait(signal);
    }
    signal.throwIfAborted();
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  /** Rejects only when no server can do better, or none could for too long; or with the signal's reason. */
  infer(request: InferRequest, signal: AbortSignal): Promise<Answer> {
    const rows = rowsOf(request.inputs);
    invariant(rows > 0, 'an empty batch is never sent');
    invariant(request.version === this.info.version, 'all requests are pinned to one version');
    return this.#enqueue(request, signal);
  }

  /**
   * Asks the last rows again, waits for all checks, and asks each server once more what it serves. Errors:
   * infer/spot-check, infer/version-differs, or why a check could not be made.
   */
  async finish(request: Pick<InferRequest, 'outputs'>, signal: AbortSignal): Promise<BalanceReport> {
    clearInterval(this.#proofs);
    const { name, version } = this.info;
    const rest = this.#spots.flush({ model: name, version, outputs: request.outputs });
    if (rest !== undefined) this.#check(rest, undefined, signal);
    await Promise.all(this.#checks);
    // its answers so far were all of the version
    await this.#proveAll(() => {});
    if (this.#fatal !== undefined) throw this.#fatal;
    return this.report();
  }

  report(): BalanceReport {
    return {
      servers: this.#servers.map((server) => server.report()),
      halved: this.#halved,
      spotRows: this.#spotRows,
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#proofs);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#stop(this.#fatal ?? new ColweaveError('infer/unreachable', 'the connections were closed'));
    await Promise.all(this.#servers.map(({ endpoint }) => endpoint.close()));
  }

  #enqueue(request: InferRequest, signal: AbortSignal, { avoid, first = false }: Place = {}): Promise<Answer> {
    const job = new Job(request, signal, () => {
      // one in flight is rejected by whoever sent it
      if (this.#leave(job)) job.reject(signal.reason);
    });
    if (signal.aborted || this.#fatal !== undefined) job.reject(signal.aborted ? signal.reason : this.#fatal);
    else if (job.rows > this.#rowsMax) void this.#halve(job);
    else {
      job.avoid = avoid;
      if (first) this.#queue.unshift(job);
      else this.#queue.push(job);
      this.#pump();
    }
    return job.answer;
  }

  /** False = it did not wait. */
  #leave(job: Job): boolean {
    const at = this.#queue.indexOf(job);
    if (at >= 0) this.#queue.splice(at, 1);
    this.#wake();
    return at >= 0;
  }

  /** Gives requests to servers as long as there are both. */
  #pump(): void {
    for (let at = 0; at < this.#queue.length; ) {
      const job = this.#queue[at]!;
      const server = this.#choose(job);
      if (server === undefined) {
        at += 1;
        continue;
      }
      this.#queue.splice(at, 1);
      job.wake();
      void this.#send(job, server);
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#queue.length === 0 || this.#fatal !== undefined) this.#room.open();
  }

  /** The one with the least work; a server where it failed only if no other takes requests. */
  #choose(job: Job): Server | undefined {
    const now = performance.now();
    const others = this.#servers.some((server) => server !== job.avoid && server.isOpen(now));
    let best: Server | undefined;
    for (const server of this.#servers) {
      if (!server.isFree(now) || (others && server === job.avoid)) continue;
      if (best === undefined || server.workMs(job.rows) < best.workMs(job.rows)) best = server;
    }
    return best;
  }

  async #send(job: Job, server: Server): Promise<void> {
    const { request, rows, signal } = job;
    const start = performance.now();
    const limitMs = server.latency.deadlineMs(this.#policy);
    const cancel = new AbortController();
    const stop = (): void => cancel.abort(signal.reason);
    const late = (): void => cancel.abort(noAnswer(server.endpoint.url, rows, limitMs));
    const timer = setTimeout(late, limitMs);
    signal.addEventListener('abort', stop, { once: true });
    server.sent(rows);
    try {
      const { url } = server.endpoint;
      const answer = await server.endpoint.infer(request, cancel.signal);
      checkAgainstModel(this.info, answer, url);
      this.#checkVersion(answer, server);
      server.done(rows);
      const now = performance.now();
      // the sample is taken first: who gets the answer may reuse the memory of what was sent
      if (!this.#asked.has(job.request)) this.#sample(request, answer, server, signal);
      server.answered({ ms: Math.max(now - start, 0.1), rows, now });
      job.resolve({ ...answer, server: url });
    } catch (failure) {
      server.done(rows);
      if (signal.aborted) job.reject(signal.reason);
      else this.#failed(job, server, failure);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      this.#pump();
    }
  }

  /** Where a server cannot be asked for a version, the first answer pins it. */
  #checkVersion({ version, model }: InferResponse, server: Server): void {
    if (this.#version === '') this.#version = version;
    if (version !== this.#version) {
      throw versionDiffers(server.endpoint.url, { name: model, version: this.#version }, version);
    }
  }

  #failed(job: Job, server: Server, failure: unknown): void {
    if (!(failure instanceof ServerError)) job.reject(failure);
    else if (failure.retry === 'later') {
      server.busy(failure, performance.now());
      this.#pumpAfterPause(server);
      this.#again(job, failure);
    } else if (failure.retry === 'elsewhere') {
      if (server.failed(failure)) this.#lost(server, failure);
      if (failure.code === 'infer/bad-answer' || failure.code === 'infer/model-failed') job.tries += 1;
      job.avoid = server;
      if (job.tries >= this.#policy.triesMax) job.reject(failure);
      else this.#again(job, failure);
    } else if (failure.retry === 'smaller' && job.rows > 1) {
      this.#rowsMax = Math.min(this.#rowsMax, Math.ceil(job.rows / 2));
      void this.#halve(job);
    } else {
      if (failure.code === 'infer/version-differs') this.#stop(failure);
      job.reject(failure);
    }
  }

  /** To the front of the queue, unless it has failed for too long. */
  #again(job: Job, failure: ServerError): void {
    if (this.#fatal !== undefined) {
      job.reject(this.#fatal);
      return;
    }
    const now = performance.now();
    job.failingSince ??= now;
    const since = job.failingSince;
    job.waitAtMost(Math.max(0, since + this.#policy.budgetMs - now), () => {
      this.#leave(job);
      job.reject(givenUp(failure, performance.now() - since));
    });
    this.#queue.unshift(job);
  }

  async #halve(job: Job): Promise<void> {
    this.#halved += 1;
    const stop = new AbortController();
    const signal = AbortSignal.any([job.signal, stop.signal]);
    try {
      const halved = halves(job.request).map((half) => this.#enqueue(half, signal, { first: true }));
      const parts = await Promise.all(halved);
      job.resolve({ ...together(job.request, parts), server: parts.at(-1)!.server });
    } catch (failure) {
      stop.abort(failure);
      job.reject(failure);
    }
  }

  #pumpAfterPause(server: Server): void {
    const wake = (): void => {
      this.#timers.delete(timer);
      // a timer may come a little early: then nothing would ask again
      if (server.pausedUntil > performance.now()) this.#pumpAfterPause(server);
      else this.#pump();
    };
    const timer = setTimeout(wake, Math.max(1, server.pausedUntil - performance.now()));
    this.#timers.add(timer);
  }

  #lost(server: Server, failure: ServerError): void {
    const { url } = server.endpoint;
    this.#emit({
      type: 'warning',
      code: failure.code,
      text: `${url}: ${failure.message}; its rows go elsewhere or wait`,
    });
    if (server.comesAndGoes && this.info.version !== '') {
      this.#exclude(server, versionDiffers(url, this.info, SOME));
    } else void this.#probe(server);
  }

  /** Asks until it serves the very same model again, or another. */
  async #probe(server: Server): Promise<void> {
    const { signal } = this.#closing;
    const since = performance.now();
    for (let n = 0; server.state === 'down' && !signal.aborted; n++) {
      try {
        await sleep(pauseOf(n, this.#policy), undefined, { signal });
        checkSame(this.info, await this.#survey(server), server.endpoint.url);
        server.back();
        this.#emit({ type: 'note', text: `${server.endpoint.url}: serves ${this.info.name} again` });
        this.#pump();
      } catch (failure) {
        if (signal.aborted) return;
        if (performance.now() - since > this.#policy.budgetMs) this.#nobody(server);
        if (failure instanceof ServerError && this.#isOut(server, failure)) this.#exclude(server, failure);
      }
    }
  }

  #isOut(server: Server, { code, retry }: ServerError): boolean {
    if (code === 'infer/credentials') return true;
    if (code !== 'infer/version-differs') return false;
    if (retry !== 'never') server.absent();
    return retry === 'never' || server.comesAndGoes;
  }

  #survey({ endpoint }: Server): Promise<ModelInfo> {
    const { name, version } = this.info;
    const limit = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#policy.surveyMs)]);
    return survey(endpoint, { name, version }, limit);
  }

  /** Asks those that are up what they serve; `missing` is called for one that does not have the version any more. */
  async #proveAll(missing: (server: Server, failure: ServerError) => void): Promise<void> {
    const one = async (server: Server): Promise<void> => {
      const found = await this.#survey(server);
      try {
        checkSame(this.info, found, server.endpoint.url);
      } catch (failure) {
        // rows that came from something else since the last time cannot be told from the others: nothing may be used
        this.#stop(failure);
      }
    };
    const up = this.#servers.filter(({ state }) => state === 'up');
    const proofs = await Promise.allSettled(up.map(one));
    for (const [at, proof] of proofs.entries()) {
      // a server that does not answer now says nothing about what it answered before
      if (proof.status === 'fulfilled' || !(proof.reason instanceof ServerError)) continue;
      const { code, retry } = proof.reason;
      if (code === 'infer/version-differs' && retry === 'never') missing(up[at]!, proof.reason);
    }
  }

  /** When no server is up for so long, what waits without having failed itself is given up too. */
  #nobody({ error }: Server): void {
    if (error === undefined || this.#servers.some(({ state }) => state === 'up')) return;
    for (const job of this.#queue.splice(0)) job.reject(givenUp(error, this.#policy.budgetMs));
    this.#wake();
  }

  #exclude(server: Server, failure: ServerError): void {
    server.state = 'out';
    server.error = failure;
    this.#emit({
      type: 'warning',
      code: failure.code,
      text: `${server.endpoint.url}: ${failure.message}; not used again`,
    });
    if (this.#servers.every(({ state }) => state === 'out')) this.#stop(failure);
  }

  /** Everything that waits, and all that comes, fails for this reason. */
  #stop(reason: unknown): void {
    this.#fatal ??= reason;
    for (const job of this.#queue.splice(0)) job.reject(this.#fatal);
    this.#wake();
  }

  #sample(request: InferRequest, answer: InferResponse, server: Server, signal: AbortSignal): void {
    if (this.#policy.spotFraction <= 0) return;
    const spot = this.#spots.take(request, answer);
    if (spot !== undefined) this.#check(spot, server, signal);
  }

  #check(spot: SpotRows, avoid: Server | undefined, signal: AbortSignal): void {
    this.#asked.add(spot.request);
    const check = this.#enqueue(spot.request, signal, { avoid }).then((answer) => {
      checkSpot(spot, answer, this.#policy, [answer.server, ...(avoid === undefined ? [] : [avoid.endpoint.url])]);
      this.#spotRows += spot.origins.length;
    });
    const kept = check.catch((failure: unknown) => {
      this.#stop(failure);
    });
    this.#checks.add(kept);
    void kept.then(() => this.#checks.delete(kept));
  }
}
