"""NVIDIA's own Python client as fast as it goes: inputs are made once, `concurrency` requests in flight, answers taken as numpy.

usage: infer_tritonclient.py http|grpc HOST:PORT MODEL OUTPUT BATCH CONCURRENCY SECONDS NAME:LENGTH,LENGTH...     prints one line of JSON
"""
import json
import sys
import threading
import time
from collections import deque

import numpy as np

protocol, address, model, output, batch, concurrency, seconds, *names = sys.argv[1:]
batch, concurrency, seconds = int(batch), int(concurrency), float(seconds)
if protocol == "http":
    import tritonclient.http as client
    server = client.InferenceServerClient(address, concurrency=concurrency)
else:
    import tritonclient.grpc as client
    server = client.InferenceServerClient(address)

random = np.random.default_rng(1)
inputs = []
for name in names:
    name, lengths = name.split(":")
    shape = [batch, *map(int, lengths.split(","))]
    tensor = client.InferInput(name, shape, "FP32")
    tensor.set_data_from_numpy(random.standard_normal(shape, dtype=np.float32))
    inputs.append(tensor)
outputs = [client.InferRequestedOutput(output)]


def check(result):
    assert result.as_numpy(output).shape[0] == batch


def run(end):
    count = 0
    if protocol == "http":
        waiting = deque()
        while time.perf_counter() < end or waiting:
            while time.perf_counter() < end and len(waiting) < concurrency:
                waiting.append(server.async_infer(model, inputs, outputs=outputs))
            if waiting:
                check(waiting.popleft().get_result())
                count += 1
        return count
    free = threading.Semaphore(concurrency)
    failures, done = [], []

    def answered(result, error):
        if error is None:
            check(result)
            done.append(1)
        else:
            failures.append(error)
        free.release()

    while time.perf_counter() < end and not failures:
        free.acquire()
        server.async_infer(model, inputs, answered, outputs=outputs)
    for _ in range(concurrency):
        free.acquire()
    assert not failures, failures[0]
    return len(done)


run(time.perf_counter() + min(0.3, seconds))
start = time.perf_counter()
count = run(start + seconds)
print(json.dumps({"rows": count * batch, "seconds": time.perf_counter() - start}))
