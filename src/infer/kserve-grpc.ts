// Owns the Open Inference Protocol over gRPC: tensors as raw bytes in the message, whatever order a site's balancer keeps.
import { ColweaveError } from '../core/errors.ts';
import { checkAnswer } from './check-answer.ts';
import { grpcCaller } from './grpc-call.ts';
import {
  decodeConfig,
  decodeIndex,
  decodeInferResponse,
  decodeMetadata,
  decodeReady,
  decodeServer,
  decodeStatistics,
  encodeInferRequest,
  encodeModelQuestion,
  MalformedMessage,
} from './grpc-messages.ts';
import { modelInfo } from './model-info.ts';
import { MessageWriter } from './protobuf.ts';
import { badAnswer, ServerError } from './server-error.ts';
import type { ConnectOptions, Endpoint, Protocol } from './types.ts';

const SERVICE = '/inference.GRPCInferenceService/';
const NOTHING = new MessageWriter();

export const KSERVE_GRPC: Protocol = { name: 'grpc', connect };

function connect(url: string, options: ConnectOptions): Endpoint {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base === undefined || !/^grpcs?:$/.test(base.protocol) || base.host === '' || !/^\/?$/.test(base.pathname)) {
    throw new ColweaveError('usage/bad-option', `"${url}" is no URL of an inference server`, {
      hint: 'such as grpc://HOST:8001, or grpcs:// with TLS',
    });
  }
  const said = url.replace(/\/+$/, '');
  const caller = grpcCaller(base, said, options);
  const ask = async <T>(question: Question<T>, signal: AbortSignal): Promise<T> => {
    const answer = await caller.call(SERVICE + question.name, question.message.finish(), signal);
    try {
      return question.decode(answer);
    } catch (failure) {
      if (failure instanceof MalformedMessage) throw badAnswer(said, `the answer cannot be read: ${failure.message}`);
      throw failure;
    }
  };
  return {
    url: said,
    ready: async (signal, model) => {
      const message = model === undefined ? NOTHING : encodeModelQuestion(model.name, model.version);
      try {
        return await ask(
          { name: model === undefined ? 'ServerReady' : 'ModelReady', message, decode: decodeReady },
          signal,
        );
      } catch (failure) {
        // an unknown model is an error to some servers
        if (codeOf(failure) === 'infer/no-model') return false;
        throw failure;
      }
    },
    server: (signal) => ask({ name: 'ServerMetadata', message: NOTHING, decode: decodeServer }, signal),
    index: (signal) => optional(ask({ name: 'RepositoryIndex', message: NOTHING, decode: decodeIndex }, signal)),
    model: async (name, version, signal) => {
      const message = encodeModelQuestion(name, version);
      const metadata = await ask({ name: 'ModelMetadata', message, decode: decodeMetadata }, signal);
      if (metadata.name !== name) throw badAnswer(said, `asked for model ${name}, told of ${metadata.name || 'none'}`);
      const again = encodeModelQuestion(name, version);
      const config = await optional(ask({ name: 'ModelConfig', message: again, decode: decodeConfig }, signal));
      return modelInfo(metadata, version, config);
    },
    statistics: (name, version, signal) => {
      const message = encodeModelQuestion(name, version);
      return optional(ask({ name: 'ModelStatistics', message, decode: decodeStatistics }, signal));
    },
    infer: async (request, signal) => {
      const message = encodeInferRequest(request);
      return checkAnswer(
        request,
        await ask({ name: 'ModelInfer', message, decode: decodeInferResponse }, signal),
        said,
      );
    },
    close: async () => caller.close(),
  };
}

interface Question<T> {
  readonly name: string;
  readonly message: MessageWriter;
  readonly decode: (answer: Uint8Array) => T;
}

/** Servers without an extension say that they have not built it, or that only some may use it. */
async function optional<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (failure) {
    if (codeOf(failure) === 'infer/unsupported') return undefined;
    throw failure;
  }
}

function codeOf(failure: unknown): string {
  return failure instanceof ServerError ? failure.code : '';
}
