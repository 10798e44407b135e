// Writes the tensors that a model file makes of a file's events, for infer_gather.py: NAME.f32 in a folder, shapes as JSON on standard output.
//   node infer_tensors.ts FILE MODEL.yaml FOLDER
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bindBlock } from '../../src/infer/bind.ts';
import { bindModel } from '../../src/infer/bind-plan.ts';
import { readModelFile } from '../../src/infer/model-file.ts';
import { openSource } from '../../src/source/registry.ts';

const [path, model, folder] = process.argv.slice(2) as [string, string, string];
const file = await openSource(path, {});
const bound = bindModel(readModelFile(model), file.descriptor.schema, [path]);
const block = bindBlock(bound, await file.read(bound.read, 0, file.descriptor.rows));
const tensors = block.tensors({ start: 0, end: block.rows });
for (const { name, bytes } of tensors) writeFileSync(join(folder, `${name}.f32`), bytes);
process.stdout.write(JSON.stringify(Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]))));
await file.close();
