"""What onnxruntime says in this very process: the truth that answers of servers are compared with.

usage: expect.py MODEL.onnx OUTPUT RAW_OUT NAME=RAW_IN:LENGTH,LENGTH...     raw = float32, little-endian; the rows are counted from the bytes
"""
import sys

import numpy as np
import onnxruntime

BLOCK = 100_000     # what millions of rows need between the layers would not fit

model, output, target, *inputs = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {}
for word in inputs:
    name, rest = word.split("=", 1)
    path, lengths = rest.rsplit(":", 1)
    feed[name] = np.fromfile(path, "<f4").reshape(-1, *map(int, lengths.split(",")))
rows = len(next(iter(feed.values())))
with open(target, "wb") as file:
    for start in range(0, rows, BLOCK):
        part = {name: values[start:start + BLOCK] for name, values in feed.items()}
        file.write(session.run([output], part)[0].astype("<f4").tobytes())
