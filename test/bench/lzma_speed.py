#!/usr/bin/env python3
"""Times our LZMA decoder and liblzma on the blocks of real ROOT files, in turns, each in one thread of CPU time.
    lzma_speed.py [--rounds 5] [--decoder src/codec/lzma.ts ...] FILE.root ...
Another --decoder is the module of another state of the code (a git worktree); node is $COLWEAVE_NODE or the pinned one."""
import argparse
import lzma
import os
import statistics
import struct
import subprocess
import tempfile
import time

import uproot

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADER_BYTES = 9


def blocks_of(path, tree):
    """(stored, raw bytes) of each LZMA block of each basket"""
    with open(path, "rb") as f:
        data = f.read()
    with uproot.open(path) as f:
        branches = f[tree].branches
        places = [(int(at), int(size)) for b in branches for at, size in zip(b.member("fBasketSeek")[:b.num_baskets], b.member("fBasketBytes")[:b.num_baskets])]
    for at, size in places:
        raw, = struct.unpack_from(">I", data, at + 6)
        key_bytes, = struct.unpack_from(">H", data, at + 14)
        next_block, end = at + key_bytes, at + size
        if end - next_block >= raw:
            continue
        while next_block < end:
            stored = int.from_bytes(data[next_block + 3:next_block + 6], "little")
            first = next_block + HEADER_BYTES
            next_block = first + stored
            if data[first - HEADER_BYTES:first - HEADER_BYTES + 2] == b"XZ":
                yield data[first:next_block], int.from_bytes(data[first - 3:first], "little")


def liblzma(blocks):
    before = time.process_time()
    for stored, _ in blocks:
        lzma.decompress(stored)
    return time.process_time() - before


def started(module, file):
    pinned = os.path.join(TOP, "node_modules", ".bin", "node")
    node = os.environ.get("COLWEAVE_NODE") or (pinned if os.path.exists(pinned) else "node")
    script = os.path.join(TOP, "test", "bench", "lzma_speed.mjs")
    return subprocess.Popen([node, script, file, module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tree", default="Events")
    parser.add_argument("--decoder", action="append")
    options = parser.parse_args()
    blocks = [block for path in options.files for block in blocks_of(path, options.tree)]
    raw = sum(size for _, size in blocks)
    print(f"{len(blocks)} blocks, {sum(len(stored) for stored, _ in blocks) / 1e6:.1f} MB stored, {raw / 1e6:.1f} MB raw; CPU seconds, median of {options.rounds}")
    with tempfile.NamedTemporaryFile() as file:
        for stored, size in blocks:
            file.write(struct.pack("<II", len(stored), size) + stored)
        file.flush()
        decoders = {name: started(name, file.name) for name in options.decoder or [os.path.join(TOP, "src", "codec", "lzma.ts")]}
        times = {name: [] for name in ["liblzma", *decoders]}
        for _ in range(options.rounds):
            times["liblzma"].append(liblzma(blocks))
            for name, child in decoders.items():
                print(file=child.stdin)
                times[name].append(float(child.stdout.readline()))
        for child in decoders.values():
            child.stdin.close()
            child.wait()
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{middle:7.3f} s  {raw / middle / 1e6:6.1f} MB/s  ({min(seconds):.3f} .. {max(seconds):.3f})  {os.path.relpath(name) if name != 'liblzma' else name}")


main()
