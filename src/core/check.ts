// Assertions about our own code, and the exhaustiveness check. Never for user input: a bad file is a coded error.

/** Throws when a condition that only a bug of ours can break is broken. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}

/** The compiler lists the missing case: call it in the default branch of a switch over a union. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
