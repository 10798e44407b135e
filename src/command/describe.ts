// Owns `infer --describe`: what a server says of a model, as a first model file.
import { modelFileText } from '../infer/describe.ts';
import { askModel } from './infer-servers.ts';
import type { RunDescribe } from './infer-types.ts';

/** Errors: those of servers. */
export const runDescribe: RunDescribe = async (options, context) => ({
  text: modelFileText(await askModel(options, context)),
});
