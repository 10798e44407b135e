"""Makes seal-vectors.json: known answers of seal/1 by fixtures/receipt_check.py, which was written from the man page.
python test/unit/seal_vectors.py > test/unit/seal-vectors.json      (needs numpy, pyarrow)
"""
import json, sys
from pathlib import Path
import numpy as np, pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2] / 'fixtures'))
from receipt_check import hexed, seal, states, type_name

N = 9
run = np.array([1, 1, 1, 283000, 283000, 4294967295, 0, 7, 7], np.uint64)
lumi = np.array([1, 1, 2, 5, 6, 4294967295, 0, 7, 7], np.uint64)
event = np.array([1, 2, 2**53 + 1, 2**53, 2**32, 2**64 - 1, 0, 2**32 - 1, 77], np.uint64)
integers = {'u8': 8, 'u16': 16, 'u32': 32, 'u64': 64, 'i8': 8, 'i16': 16, 'i32': 32, 'i64': 64}
floats32 = [0, 0x80000000, 0x3F800000, 0x7FA00001, 0x7FC00000, 0xFF800000, 1, 0x42F6E979, 0x42F6E000]
floats64 = [0, 1 << 63, 0x3FF0000000000000, 0x7FF4000000000001, 0x7FF8000000000000, 1, 0xFFF0000000000000, 0x405EDD2F1A9FBE77, 0x405EDD2F00000000]

def edges(name, bits):
    low, high = (-2 ** (bits - 1), 2 ** (bits - 1) - 1) if name[0] == 'i' else (0, 2**bits - 1)
    return [low, high, 0, 1, 2, high - 1, low + 1, 100, 100]

def bits(values, words, dtype): return np.array(values, words).view(dtype)

cases = [(name, pa.array(np.array(edges(name, b), f"{'u' if name[0] == 'u' else ''}int{b}"))) for name, b in integers.items()]
cases += [('bool', pa.array([True, False, False, True, True, False, False, True, False])),
          ('f32', pa.array(bits(floats32, np.uint32, np.float32))), ('f64', pa.array(bits(floats64, np.uint64, np.float64))),
          ('utf8', pa.array(['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'µ jet', '', 'a\0b']))]
holes = [True, False, True, True, False, True, False, True, True]
for name, array in list(cases):
    if name in ('bool', 'i8', 'u64', 'f32', 'utf8'):
        cases.append((f'{name} with null rows', pa.array([v if h else None for v, h in zip(array.to_pylist(), holes)], array.type)))
f32 = [1.5, -0.0, 2.25, 31.125, 3.5, 1e-3, 7.0, 8.0]
lists = [[], [0], [1, 2], [3, 4, 5], [], [6], [7], [], []]
cases += [('list of f32', pa.array([[f32[i] for i in row] for row in lists], pa.list_(pa.float32()))),
          ('list of u8, null rows and items', pa.array([[1, None, 3], None, [], [None], [4], None, [], [0], [None, None]], pa.list_(pa.uint8()))),
          ('list of lists of i64, nulls', pa.array([[[1], []], [[2, 3], None, [4]], [], None, [[]], [None], [[5]], [[6, None]], [[], []]], pa.list_(pa.list_(pa.int64())))),
          ('list of utf8', pa.array([['a', ''], [], ['bc', None], ['defgh'], None, [], ['a'], [''], []], pa.list_(pa.string())))]

def plain(value, kind):
    if value is None: return None
    if isinstance(value, list): return [plain(item, kind) for item in value]
    if kind == pa.float32(): return int(np.array(value, np.float32).view(np.uint32))
    if kind == pa.float64(): return str(np.array(value, np.float64).view(np.uint64))
    return str(value) if kind in (pa.int64(), pa.uint64()) else value

def leaf(kind): return leaf(kind.value_type) if pa.types.is_list(kind) else kind

def rows(name, array):
    if name == 'f32': return floats32
    if name == 'f64': return [str(v) for v in floats64]
    if name == 'f32 with null rows': return [v if h else None for v, h in zip(floats32, holes)]
    return [plain(value, leaf(array.type)) for value in array.to_pylist()]

a, b = states([run, lumi, event])
def made(name, array):
    if name == 'f32 with null rows': array = pa.array(bits(floats32, np.uint32, np.float32), mask=~np.array(holes))
    present, pair = seal(array, a, b)
    return {'name': name, 'type': type_name(array.type), 'rows': rows(name, array), 'present': present, 'seal': hexed(pair)}

keys = {'run': run.tolist(), 'luminosityBlock': lumi.tolist(), 'event': [str(v) for v in event]}
key_seal = hexed([a.sum(dtype=np.uint64), b.sum(dtype=np.uint64)])
lines = ',\n'.join('  ' + json.dumps(made(*case), ensure_ascii=False) for case in cases)
print(f'{{\n "keys": {json.dumps(keys)},\n "keySeal": "{key_seal}",\n "columns": [\n{lines}\n ]\n}}')
