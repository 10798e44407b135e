// Owns the limits of a run against inference servers: how long, how often, how many at once.

export interface Policy {
  /** A batch that fails for this long is given up: a new server takes minutes to come up when a site scales out. */
  readonly budgetMs: number;
  /** At the start, when no server answers at all: more likely a wrong URL than a restart. */
  readonly startMs: number;
  /** One question about readiness or metadata. */
  readonly surveyMs: number;
  /** So often a server that is up is asked whether it still serves the same: an exchange between two questions is found, late. */
  readonly proofMs: number;
  /** A request may take this long before anything is measured, and never less or more than the other two. */
  readonly deadlineFirstMs: number;
  readonly deadlineMinMs: number;
  readonly deadlineMaxMs: number;
  /** Requests in flight to one server. */
  readonly concurrencyMax: number;
  /** Answers that are wrong, or failures of the model, before a batch is given up. */
  readonly triesMax: number;
  /** The first pause after a failure, and the longest; between them it doubles. */
  readonly pauseMs: number;
  readonly pauseMaxMs: number;
  /** Of all rows, this part is sent again in another batch, to another server where there is one. */
  readonly spotFraction: number;
  /** Two scores of one row may differ by `absolute + relative * size`: servers may compute in another order. */
  readonly spotAbsolute: number;
  readonly spotRelative: number;
}

export const POLICY: Policy = {
  budgetMs: 300_000,
  startMs: 30_000,
  surveyMs: 5_000,
  proofMs: 30_000,
  deadlineFirstMs: 60_000,
  deadlineMinMs: 10_000,
  deadlineMaxMs: 300_000,
  concurrencyMax: 8,
  triesMax: 3,
  pauseMs: 250,
  pauseMaxMs: 15_000,
  spotFraction: 0,
  spotAbsolute: 1e-4,
  spotRelative: 1e-3,
};

/** The n-th pause in a row (from 0), with half of it left to chance, so that many clients do not come back at once. */
export function pauseOf(n: number, { pauseMs, pauseMaxMs }: Policy): number {
  const whole = Math.min(pauseMaxMs, pauseMs * 2 ** Math.min(n, 30));
  return whole / 2 + Math.random() * (whole / 2);
}
