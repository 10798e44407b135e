// Owns who answers a run: servers behind a balance, the model in this process, or the one when the other cannot any more.
import { ColweaveError } from '../core/errors.ts';
import type { Emit } from '../core/events.ts';
import type { Asker } from './ask.ts';
import type { Balance, BalanceReport } from './balance.ts';
import { ONNX } from './onnx.ts';
import type { Policy } from './policy.ts';
import { openBalance, openServers } from './start.ts';
import { rowsOf } from './tensor.ts';
import type { ConnectOptions, InferRequest, InferResponse, ModelInfo } from './types.ts';

export interface Connected extends Asker {
  /** Waits for all checks. Errors: infer/spot-check. */
  finish(outputs: readonly string[], signal: AbortSignal): Promise<Served>;
  close(): Promise<void>;
}

export interface Served extends BalanceReport {
  /** Rows that this process answered since no server did. */
  readonly fallbackRows: number;
}

export interface Wanted {
  readonly model: string;
  /** `` = the newest. */
  readonly version: string;
  /** Empty: the model in this process. */
  readonly urls: readonly string[];
  /** Of URLs without a scheme. */
  readonly protocol: string;
  readonly connect: ConnectOptions;
  /** The model as a file. */
  readonly onnx?: string;
  /** Whether it stands in for servers. */
  readonly fallback: boolean;
  readonly policy: Partial<Policy>;
  readonly emit: Emit;
}

/** The runtime takes all cores for one batch: a second one only bridges the way back and forth. */
const LOCAL_CONCURRENCY = 2;

/** Errors: those of servers, infer/no-runtime. */
export async function connect(wanted: Wanted, signal: AbortSignal): Promise<Connected> {
  const { model, version, urls, protocol, policy, emit } = wanted;
  if (urls.length === 0) return asConnected(await openLocal(wanted, signal), undefined);
  const local = wanted.fallback ? await openLocal(wanted, signal) : undefined;
  try {
    const servers = await openServers(
      { urls, protocol, connect: wanted.connect, model, version, policy, emit },
      signal,
    );
    return asConnected(servers, local);
  } catch (error) {
    if (local !== undefined && isOutOfReach(error)) return standIn(local, error, emit);
    await local?.close();
    throw error;
  }
}

async function openLocal({ onnx, model, version, policy, emit }: Wanted, signal: AbortSignal): Promise<Balance> {
  if (onnx === undefined)
    throw new ColweaveError('usage/bad-option', 'the model file names no model to compute here', {
      hint: 'onnx: FILE in the model file',
    });
  const own = { ...policy, concurrencyMax: Math.min(LOCAL_CONCURRENCY, policy.concurrencyMax ?? LOCAL_CONCURRENCY) };
  const endpoint = ONNX.connect(onnx, {});
  try {
    return await openBalance({ endpoints: [endpoint], model, version, policy: own, emit }, signal);
  } catch (error) {
    await endpoint.close();
    throw error;
  }
}

/** No answer at all: what a model or a server says is an answer. */
function isOutOfReach(error: unknown): error is ColweaveError {
  return error instanceof ColweaveError && (error.exit === 75 || error.code === 'infer/no-model');
}

function asConnected(servers: Balance, local: Balance | undefined): Connected {
  let fallbackRows = 0;
  let lost = false;
  return {
    info: servers.info,
    room: async (signal) => {
      if (!lost) await servers.room(signal).catch(ignoreIf(local));
      if (lost) await local!.room(signal);
    },
    ask: async (request, signal) => {
      try {
        if (!lost) return await servers.infer(request, signal);
      } catch (error) {
        if (local === undefined || !isOutOfReach(error)) throw error;
        lost = true;
      }
      fallbackRows += rowsOf(request.inputs);
      return askLocal(local!, request, signal);
    },
    finish: async (outputs, signal) => {
      if (!lost) return { ...(await servers.finish({ outputs }, signal)), fallbackRows };
      await local!.finish({ outputs }, signal);
      return { ...servers.report(), fallbackRows };
    },
    close: async () => {
      await Promise.all([servers.close(), local?.close()]);
    },
  };
}

/** The request that fails there is answered here. */
function ignoreIf(local: Balance | undefined) {
  return (error: unknown): void => {
    if (local === undefined || !isOutOfReach(error)) throw error;
  };
}

async function askLocal(local: Balance, request: InferRequest, signal: AbortSignal): Promise<InferResponse> {
  return local.infer({ ...request, version: local.info.version }, signal);
}

/** No server from the start. */
function standIn(local: Balance, error: ColweaveError, emit: Emit): Connected {
  emit({ type: 'warning', code: error.code, text: `${error.message}; the model computes in this process instead` });
  let rows = 0;
  const own = asConnected(local, undefined);
  return {
    ...own,
    ask: async (request, signal) => {
      rows += rowsOf(request.inputs);
      return askLocal(local, request, signal);
    },
    finish: async (outputs, signal) => ({ ...(await own.finish(outputs, signal)), fallbackRows: rows }),
  };
}

/** What a server says of a model. Errors: those of servers. */
export async function describeModel(wanted: Wanted, signal: AbortSignal): Promise<ModelInfo> {
  const connected = await connect({ ...wanted, policy: { ...wanted.policy, startMs: 0 } }, signal);
  try {
    return connected.info;
  } finally {
    await connected.close();
  }
}
