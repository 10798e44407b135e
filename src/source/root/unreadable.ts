// Owns why a branch cannot be read: thrown while a tree is described, caught there and listed.

export class Unreadable {
  readonly type: string;
  readonly reason: string;
  /** Said of the branches below it too. */
  readonly withInner: boolean;
  constructor(type: string, reason: string, { withInner = false } = {}) {
    this.type = type;
    this.reason = reason;
    this.withInner = withInner;
  }
}
