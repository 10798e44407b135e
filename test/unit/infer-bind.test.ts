// Tensors made of columns, each feature against arrays written by hand.
import { describe, expect, it } from 'vitest';
import { halfBits, halfValue } from '../../src/infer/half.ts';
import { given, tensorsOf } from './infer-columns.ts';

const model = (inputs: string, more = '') => `model: m\n${more}inputs:\n${inputs}\noutputs: {y: y}\n`;
const MET = given('f32', [1, 2, 3]);
const NPV = given('u8', [10, 20, 255]);
const PT = given('f32', [[30, 20, 10], [], [40]]);
const ETA = given('f32', [[0.5, -0.5, 1], [], [2]]);

describe('single values', () => {
  it('stacks columns of any type in their order', () => {
    const got = tensorsOf(model('  X: {columns: [MET_pt, npv, isOk]}'), {
      MET_pt: MET,
      npv: NPV,
      isOk: given('bool', [1, 0, 1]),
    });
    expect(got).toEqual({ rows: 3, X: { shape: [3, 3], values: [1, 10, 1, 2, 20, 0, 3, 255, 1] } });
  });

  it('gives any rows of the block', () => {
    const got = tensorsOf(model('  X: {columns: [MET_pt, npv]}'), { MET_pt: MET, npv: NPV }, [1, 3]);
    expect(got).toMatchObject({ X: { shape: [2, 2], values: [2, 20, 3, 255] } });
  });

  it('scales, shifts, takes logarithms and clips, in that order, rounded once', () => {
    const yaml = model(
      '  X:\n    columns: [{column: MET_pt, log: ln, scale: 2, shift: 1, clip: [0, 2.5]}, {column: MET_pt, shift: 5}]\n    scale: -1\n    dtype: FP64',
    );
    const got = tensorsOf(yaml, { MET_pt: MET });
    expect(got).toMatchObject({
      X: { values: [1, 4, 2 * Math.log(2) + 1, 3, 2.5, 2] },
    });
    const logs = tensorsOf(model('  X: {columns: [{column: a, log: log10}, {column: a, log: log1p}]}'), {
      a: given('f64', [1000]),
    });
    expect(logs).toMatchObject({ X: { values: [Math.fround(Math.log10(1000)), Math.fround(Math.log1p(1000))] } });
  });

  it('leaves NaN and infinity as they are, also when it clips', () => {
    const got = tensorsOf(model('  X: {column: a, clip: [-1, 1]}'), {
      a: given('f32', [Number.NaN, Infinity, -Infinity]),
    });
    expect(got).toMatchObject({ X: { values: [Number.NaN, 1, -1] } });
  });

  it('makes integers of integers, 64-bit ones too, and refuses what an input cannot hold', () => {
    const wide = given('i64', [-3n, 2n ** 40n + 1n, 0n]);
    expect(tensorsOf(model('  X: {column: a, dtype: INT64}'), { a: wide })).toMatchObject({
      X: { shape: [3, 1], values: [-3n, 2n ** 40n + 1n, 0n] },
    });
    expect(tensorsOf(model('  X: {column: a, dtype: INT8}'), { a: given('i32', [-128, 127]) })).toMatchObject({
      X: { values: [-128, 127] },
    });
    expect(() => tensorsOf(model('  X: {column: a, dtype: UINT8}'), { a: given('i32', [256]) })).toThrow(
      'does not hold 256',
    );
    expect(() => tensorsOf(model('  X: {column: a}'), { a: given('u64', [2n ** 60n]) })).toThrow('above 2^53');
    expect(() => tensorsOf(model('  X: {column: a, dtype: INT32}'), { a: MET })).toThrow('is f32');
  });

  it('makes half precision, rounded to nearest even', () => {
    const values = [1, 0.1, 65504, 65520, 2 ** -24, 2 ** -25, 1 + 2 ** -11, 1 + 3 * 2 ** -11, -0];
    const got = tensorsOf(model('  X: {column: a, dtype: FP16}'), { a: given('f32', values) });
    // numpy: np.array([...], np.float32).astype(np.float16).view(np.uint16)
    expect(got).toMatchObject({
      X: { values: [0x3c00, 0x2e66, 0x7bff, 0x7c00, 0x0001, 0x0000, 0x3c00, 0x3c02, 0x8000] },
    });
    for (let bits = 0; bits < 0x7c00; bits++) expect(halfBits(halfValue(bits))).toBe(bits);
  });

  it('takes a stand-in for what is missing, or stops', () => {
    const column = { a: given('f32', [1, null, 3]) };
    expect(tensorsOf(model('  X: {column: a, nulls: -1, scale: 2}'), column)).toMatchObject({
      X: { values: [2, -2, 6] },
    });
    expect(() => tensorsOf(model('  X: {column: a}'), column)).toThrow('missing');
  });

  it('gives another shape of the same number of values', () => {
    const got = tensorsOf(model('  X: {columns: [a, b, a, b], shape: [2, 2]}'), { a: MET, b: NPV }, [0, 1]);
    expect(got).toMatchObject({ X: { shape: [1, 2, 2], values: [1, 10, 1, 10] } });
    expect(() => tensorsOf(model('  X: {columns: [a, b], shape: [3]}'), { a: MET, b: NPV })).toThrow('2 values a row');
  });
});

describe('lists of an event', () => {
  it('are cut or filled to the padding, with a mask', () => {
    const got = tensorsOf(model('  J: {columns: [Jet_pt, Jet_eta], pad: 2, fill: -9, mask: M}'), {
      Jet_pt: PT,
      Jet_eta: ETA,
    });
    expect(got).toEqual({
      rows: 3,
      J: { shape: [3, 2, 2], values: [30, 0.5, 20, -0.5, -9, -9, -9, -9, 40, 2, -9, -9] },
      M: { shape: [3, 2], values: [1, 1, 0, 0, 1, 0] },
    });
  });

  it('lie with columns first where the model wants it so', () => {
    const yaml = model(
      '  J: {columns: [Jet_pt, Jet_eta], pad: 2, layout: columns-first, mask: {name: M, dtype: BOOL, shape: [1, 2]}}',
    );
    const got = tensorsOf(yaml, { Jet_pt: PT, Jet_eta: ETA }, [0, 2]);
    expect(got).toMatchObject({
      J: { shape: [2, 2, 2], values: [30, 20, 0.5, -0.5, 0, 0, 0, 0] },
      M: { shape: [2, 1, 2], values: [1, 1, 0, 0] },
    });
  });

  it('are put in order before they are cut: largest first, equal ones as they were, NaN last', () => {
    const columns = {
      Jet_pt: given('f32', [[1, 3, 3, Number.NaN, 2]]),
      Jet_id: given('i32', [[10, 11, 12, 13, 14]]),
    };
    const by = (order: string, pad: number) =>
      tensorsOf(model(`  J: {columns: [Jet_id], pad: ${pad}, order: ${order}, dtype: INT32}`), columns);
    expect(by('{by: Jet_pt}', 4)).toMatchObject({ J: { values: [11, 12, 14, 10] } });
    expect(by('{by: Jet_pt, ascending: true}', 5)).toMatchObject({ J: { values: [10, 14, 11, 12, 13] } });
  });

  it('of two collections are refused, and lists mixed with single values', () => {
    const columns = { Jet_pt: PT, Muon_pt: given('f32', [[1], [2], [3]]), MET_pt: MET };
    expect(() => tensorsOf(model('  J: {columns: [Jet_pt, Muon_pt], pad: 2}'), columns)).toThrow('differ in length');
    expect(() => tensorsOf(model('  J: {columns: [Jet_pt, MET_pt], pad: 2}'), columns)).toThrow('mixes lists');
    expect(() => tensorsOf(model('  J: {columns: [Jet_pt]}'), columns)).toThrow('no padding');
  });
});

describe('rows that are objects', () => {
  const per = (inputs: string) => model(inputs, 'per: Jet\n');

  it('take their own values and those of their event', () => {
    const got = tensorsOf(per('  X: {columns: [Jet_pt, MET_pt, Jet_eta]}'), { Jet_pt: PT, MET_pt: MET, Jet_eta: ETA });
    expect(got).toEqual({
      rows: 4,
      X: { shape: [4, 3], values: [30, 1, 0.5, 20, 1, -0.5, 10, 1, 1, 40, 3, 2] },
    });
  });

  it('are counted by the counter where no list of theirs is read', () => {
    const got = tensorsOf(per('  X: {columns: [MET_pt]}'), { nJet: given('u32', [2, 0, 1]), MET_pt: MET });
    expect(got).toEqual({ rows: 3, X: { shape: [3, 1], values: [1, 1, 3] } });
  });

  it('have items of their own where columns are lists of lists', () => {
    const got = tensorsOf(per('  C: {columns: [Jet_trk], pad: 2}'), {
      Jet_trk: given('f32', [[[1, 2, 3], []], [], [[4]]]),
    });
    expect(got).toMatchObject({ rows: 3, C: { shape: [3, 2, 1], values: [1, 2, 0, 0, 4, 0] } });
  });

  it('refuse columns of another collection', () => {
    expect(() => tensorsOf(per('  X: {columns: [Jet_pt, Muon_pt]}'), { Jet_pt: PT, Muon_pt: PT })).toThrow(
      'no column of Jet',
    );
  });

  const gather = 'gather: {from: PF, index: JetPF_idx, group: JetPF_jet, of: Jet, pad: 2}';
  const pairs = {
    nJet: given('u32', [2, 1]),
    JetPF_idx: given('i32', [[2, 0, 1, -1], [0]]),
    JetPF_jet: given('i32', [[1, 0, 1, 0], [0]]),
    JetPF_w: given('f32', [[0.2, 0.0, 0.1, 9], [1]]),
    PF_pt: given('f32', [[5, 6, 7], [8]]),
  };

  it('gather constituents by index and values of the pair, in the order of the pairs', () => {
    const got = tensorsOf(per(`  C: {columns: [PF_pt, JetPF_w], ${gather}, mask: M, fill: -1}`), pairs);
    expect(got).toMatchObject({
      rows: 3,
      C: { shape: [3, 2, 2], values: [5, 0, -1, -1, 7, 0.2, 6, 0.1, 8, 1, -1, -1].map(Math.fround) },
      M: { values: [1, 0, 1, 1, 1, 0] },
    });
  });

  it('gather them in order, by a column of either level', () => {
    const ordered = (by: string) =>
      tensorsOf(
        per(
          `  C: {columns: [PF_pt], gather: {from: PF, index: JetPF_idx, group: JetPF_jet, of: Jet, pad: 1}, order: {by: ${by}, ascending: true}}`,
        ),
        pairs,
      );
    expect(ordered('PF_pt')).toMatchObject({ C: { values: [5, 6, 8] } });
    expect(ordered('JetPF_w')).toMatchObject({ C: { values: [5, 6, 8] } });
  });

  it('stop at an index that points at nothing', () => {
    const bad = { ...pairs, JetPF_idx: given('i32', [[2, 3, 1, -1], [0]]) };
    expect(() => tensorsOf(per(`  C: {columns: [PF_pt], ${gather}}`), bad)).toThrow('points at item 3 of 3');
    // values of the pair need no index
    expect(tensorsOf(per(`  C: {columns: [JetPF_w], ${gather}}`), bad)).toMatchObject({ rows: 3 });
    const other = {
      ...pairs,
      JetPF_jet: given('i32', [[1, 0, 1, 2], [0]]),
      JetPF_idx: given('i32', [[2, 0, 1, 1], [0]]),
    };
    expect(() => tensorsOf(per(`  C: {columns: [PF_pt], ${gather}}`), other)).toThrow('points at item 2 of 2');
  });
});
