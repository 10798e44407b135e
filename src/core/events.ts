// Owns what the program tells while it works: typed events; src/cli decides how each one looks.

export type WorkEvent =
  | { readonly type: 'progress'; readonly stage: string; readonly done: number; readonly total: number }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'warning'; readonly code: string; readonly text: string };

export type Emit = (event: WorkEvent) => void;
