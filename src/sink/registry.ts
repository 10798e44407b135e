// Owns the list of output formats by name; each is loaded when it is asked for.
import { ColweaveError } from '../core/errors.ts';
import { nearestNames } from '../core/text.ts';
import type { SinkFormat } from './types.ts';

const FORMATS: Readonly<Record<string, () => Promise<SinkFormat<unknown>>>> = {
  parquet: async () => (await import('./parquet.ts')).parquet as SinkFormat<unknown>,
  arrow: async () => (await import('./arrow.ts')).arrow as SinkFormat<unknown>,
  parquetjs: async () => (await import('./parquetjs.ts')).parquetjs as SinkFormat<unknown>,
};

export const SINK_NAMES: readonly string[] = Object.keys(FORMATS);

export async function openSink(name: string): Promise<SinkFormat<unknown>> {
  const load = Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined;
  if (load === undefined) {
    const near = nearestNames(name, SINK_NAMES);
    throw new ColweaveError('usage/bad-option', `no writer is called "${name}"`, {
      near,
      hint: `there are ${SINK_NAMES.join(', ')}`,
    });
  }
  return load();
}
