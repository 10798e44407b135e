"""What onnxruntime says in this very process: the truth that answers of servers are compared with.

usage: expect.py MODEL.onnx OUTPUT RAW_OUT NAME=RAW_IN:LENGTH,LENGTH...     raw = float32, little-endian; the rows are counted from the bytes
"""
import sys

import numpy as np
import onnxruntime

model, output, target, *inputs = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {}
for word in inputs:
    name, rest = word.split("=", 1)
    path, lengths = rest.rsplit(":", 1)
    feed[name] = np.fromfile(path, "<f4").reshape(-1, *map(int, lengths.split(",")))
session.run([output], feed)[0].astype("<f4").tofile(target)
