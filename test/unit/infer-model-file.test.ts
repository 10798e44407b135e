// Model files: what they may say, and how they are refused, with line and nearest name.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseModel } from '../../src/infer/model-file.ts';

const FULL = `
model: tagger
version: 3
config-hash: abc
protocol: grpc
servers: [grpc://a:8001, b:8001]
onnx: models/t.onnx
per: Jet
max-batch-size: 512
inputs:
  X:
    dtype: FP16
    columns: [Jet_pt, {column: Jet_eta, log: log1p, clip: [-1, 1]}]
    scale: 2
  C:
    columns: [PF_pt]
    gather: {from: PF, index: JetPF_idx, group: JetPF_jet, of: Jet, pad: 64}
    order: {by: PF_pt}
    fill: -1
    layout: columns-first
    mask: {name: M, dtype: BOOL, shape: [1, 64]}
    nulls: 0
outputs:
  probs: {columns: [p_b, p_c], softmax: true}
  one: {column: Jet_one, width: 3, index: 1, dtype: FP64}
  plain: Jet_plain
on-nan: fail
`;

describe('a model file', () => {
  it('says all of this', () => {
    expect(parseModel('dir/m.yaml', FULL)).toEqual({
      name: 'tagger',
      version: '3',
      configHash: 'abc',
      protocol: 'grpc',
      servers: ['grpc://a:8001', 'b:8001'],
      onnx: 'dir/models/t.onnx',
      per: 'Jet',
      batchRowsMax: 512,
      inputs: [
        {
          name: 'X',
          type: 'FP16',
          columns: [
            { name: 'Jet_pt', scale: 2 },
            { name: 'Jet_eta', scale: 2, log: 'log1p', clip: [-1, 1] },
          ],
          fill: 0,
          columnsFirst: false,
        },
        {
          name: 'C',
          type: 'FP32',
          columns: [{ name: 'PF_pt' }],
          pad: 64,
          fill: -1,
          order: { by: 'PF_pt', ascending: false },
          columnsFirst: true,
          nulls: 0,
          mask: { name: 'M', type: 'BOOL', shape: [1, 64] },
          gather: { from: 'PF', index: 'JetPF_idx', group: 'JetPF_jet', of: 'Jet' },
        },
      ],
      outputs: [
        { name: 'probs', type: 'FP32', columns: ['p_b', 'p_c'], width: 2, softmax: true },
        { name: 'one', type: 'FP64', columns: ['Jet_one'], width: 3, index: 1, softmax: false },
        { name: 'plain', type: 'FP32', columns: ['Jet_plain'], width: 1, softmax: false },
      ],
      onNan: 'fail',
    });
  });

  it('takes the newest version unless it names one, and events unless it names a collection', () => {
    const { version, per, onNan } = parseModel('m.yaml', 'model: m\ninputs: {X: {column: a}}\noutputs: {y: y}\n');
    expect({ version, per, onNan }).toEqual({ version: '', per: '', onNan: 'keep' });
  });
});

it('the model files of the guide are model files', () => {
  const page = readFileSync('man/colweave-guide.7', 'utf8');
  const blocks = [...page.matchAll(/^\.nf\n((?: {4}.*\n)+)\.fi$/gm)].map(([, text]) => text!.replaceAll('\\-', '-'));
  const models = blocks.filter((text) => text.startsWith('    model:')).map((text) => parseModel('guide.yaml', text));
  expect(models.map(({ name, per }) => [name, per])).toEqual([
    ['jettag', ''],
    ['jettagger', 'Jet'],
  ]);
});

describe('is refused', () => {
  const refusal = (text: string) => {
    try {
      parseModel('m.yaml', text);
    } catch (error) {
      return error;
    }
    return undefined;
  };
  const rest = 'outputs: {y: y}\n';
  const cases: [what: string, text: string, message: string | RegExp, line: string, near?: string[]][] = [
    ['an unknown key', `model: m\ninput: {}\n${rest}`, 'unknown key "input"', 'line 2', ['inputs']],
    [
      'an unknown key of an input',
      `model: m\ninputs:\n  X: {column: a, scal: 2}\n${rest}`,
      'unknown key "scal" of inputs.X',
      'line 3',
      ['scale'],
    ],
    ['no model', `inputs: {X: {column: a}}\n${rest}`, 'the model file has no key "model"', 'line 1'],
    ['no column', `model: m\ninputs: {X: {dtype: FP32}}\n${rest}`, 'inputs.X needs "column" or "columns"', 'line 2'],
    [
      'an unknown type',
      `model: m\ninputs: {X: {column: a, dtype: FP33}}\n${rest}`,
      '"inputs.X.dtype" cannot be "FP33"',
      'line 2',
      ['FP32'],
    ],
    [
      'a word for a number',
      `model: m\ninputs: {X: {column: a, scale: two}}\n${rest}`,
      '"inputs.X.scale" is no number',
      'line 2',
    ],
    [
      'a fill without a padding',
      `model: m\ninputs: {X: {column: a, fill: 2}}\n${rest}`,
      'X has "fill" and no padding',
      'line 2',
    ],
    [
      'two paddings',
      `model: m\ninputs: {X: {column: a, pad: 2, gather: {from: a, index: b, group: c, of: d, pad: 3}}}\n${rest}`,
      'X has two paddings',
      'line 2',
    ],
    [
      'an index that is not there',
      'model: m\ninputs: {X: {column: a}}\noutputs: {y: {column: y, width: 2, index: 2}}\n',
      'y: there is no value 2 of 2',
      'line 3',
    ],
    [
      'a column twice',
      'model: m\ninputs: {X: {column: a}}\noutputs: {y: s, z: s}\n',
      'two of them are the column "s"',
      'line 3',
    ],
    [
      'nulls in lists',
      'model: m\nper: Jet\non-nan: null\ninputs: {X: {column: a}}\noutputs: {y: s}\n',
      'on-nan: null is for single values, and an output is a list',
      'line 3',
    ],
    ['what is no YAML', 'model: [m\n', /^it is no YAML/, 'line 2'],
    [
      'a low end above the high one',
      `model: m\ninputs: {X: {column: a, clip: [2, 1]}}\n${rest}`,
      '"inputs.X.clip" is no pair [LOW, HIGH]',
      'line 2',
    ],
  ];
  it.each(cases)('%s', (...[, text, message, line, near = []]) => {
    expect(refusal(text)).toMatchObject({
      code: 'usage/bad-model',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      where: ['m.yaml', line],
      near: expect.arrayContaining(near),
    });
  });
});
