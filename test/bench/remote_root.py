# Times the C++ client (pyxrootd) as remote-root.ts times ours: python remote_root.py URL whole|readv [COUNT BYTES] [REPEATS]
import json
import sys
import time

from XRootD import client

PIECES_MAX = 1024


def read(url, mode, count, length):
    with client.File() as file:
        status, _ = file.open(url)
        assert status.ok, status
        status, info = file.stat()
        assert status.ok, status
        if mode == "whole":
            status, data = file.read(0, info.size)
            assert status.ok and len(data) == info.size
            return data[0] + data[-1]
        step = (info.size - length) // max(1, count - 1)
        total = 0
        for at in range(0, count, PIECES_MAX):
            pieces = [(n * step, length) for n in range(at, min(count, at + PIECES_MAX))]
            status, answer = file.vector_read(pieces)
            assert status.ok, status
            total += sum(chunk.buffer[0] + chunk.buffer[-1] for chunk in answer.chunks)
        return total


url, mode = sys.argv[1:3]
count, length, repeats = (int(word) for word in (sys.argv[3:6] + ["400", "32768", "5"][len(sys.argv) - 3 :])[:3])
seconds = []
for _ in range(repeats):
    start = time.perf_counter()
    checksum = read(url, mode, count, length)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"what": "pyxrootd", "mode": mode, "count": count, "bytes": length, "seconds": seconds, "checksum": int(checksum)}))
