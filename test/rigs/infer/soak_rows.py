"""The input and the check of test/rigs/soak-command.ts. `make` writes events as Parquet, in no order of their keys, and their inputs as raw float32 for onnxruntime;
`check` finds each event's score in colweave's output by its key, in pyarrow and numpy alone.
usage: soak_rows.py make ROWS OUT.parquet OUT.raw     soak_rows.py check IN.parquet TRUTH.raw FOUND.parquet"""
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTH, LUMI_EVENTS, RUN_LUMIS = 20, 1000, 500
KEYS = ["run", "luminosityBlock", "event"]
# batches of other sizes add up in another order: the last digits of f32 differ
RELATIVE, ABSOLUTE = 1e-5, 1e-6
GROUP = 131072


def keys_of(number):
    lumi = number // LUMI_EVENTS
    # events of other runs have the same numbers: run and lumi count
    return (273158 + lumi // RUN_LUMIS).astype(np.uint32), (1 + lumi % RUN_LUMIS).astype(np.uint32), (number % (LUMI_EVENTS * RUN_LUMIS)).astype(np.uint64)


def make(rows, out, raw):
    random = np.random.default_rng(9)
    order = random.permutation(rows)
    schema = pa.schema([("run", pa.uint32()), ("luminosityBlock", pa.uint32()), ("event", pa.uint64())] + [(f"x{i}", pa.float32()) for i in range(WIDTH)])
    with pq.ParquetWriter(out, schema, compression="none") as writer, open(raw, "wb") as file:
        for start in range(0, rows, GROUP):
            part = order[start:start + GROUP]
            x = random.uniform(-3, 3, (len(part), WIDTH)).astype(np.float32)
            file.write(x.tobytes())
            writer.write_table(pa.table([*keys_of(part), *np.ascontiguousarray(x.T)], schema=schema), row_group_size=GROUP)


def numbers(table):
    """One number for each key, so that keys sort and compare as one"""
    run, lumi, event = (table[name].to_numpy().astype(np.uint64) for name in KEYS)
    return (run << np.uint64(44)) | (lumi << np.uint64(32)) | event


def check(given, truth, path):
    asked, found = (numbers(pq.read_table(name, columns=KEYS)) for name in (given, path))
    got = pq.read_table(path, columns=["score"])["score"].to_numpy()
    want = np.fromfile(truth, "<f4")
    assert len(want) == len(asked) and got.dtype == np.float32
    first, second = np.argsort(asked, kind="stable"), np.argsort(found, kind="stable")
    assert np.all(np.diff(asked[first]) > 0), "keys of the input repeat"
    lost, doubled = np.setdiff1d(asked, found), len(found) - len(np.unique(found))
    wrong, apart = -1, 0.0
    if len(lost) == 0 and doubled == 0 and len(found) == len(asked):
        difference = np.abs(got[second] - want[first])
        wrong = int(np.sum(~(difference <= ABSOLUTE + RELATIVE * np.abs(want[first]))))
        apart = float(difference.max())
    # a score that many events share would prove nothing of who got it
    print(json.dumps({"rows": len(found), "lost": len(lost), "doubled": int(doubled), "wrong": wrong, "apart": apart, "differentScores": len(np.unique(want))}))


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "make":
        make(int(words[0]), *words[1:])
    else:
        check(*words)
