#!/usr/bin/env python3
"""Reading an RNTuple, and joining from it, against uproot and against the same events in a TTree: interleaved, each in a fresh process.
  rntuple.py --rntuple DIR [--tree DIR] [--friend DIR] [--rounds 5]     on a quiet machine; DIR/*.root are read in the order of their names
Times of reading are the program's own (start-up left out, on both sides), times of joining are of the whole process."""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NODE = os.path.join(TOP, "node_modules", ".bin", "node")
# without the collections of RNTupleImporter: their parts are there under their own names too, and would be read twice
UPROOT = """
import json, re, resource, sys, time, warnings
warnings.filterwarnings("ignore")
import awkward, uproot
events = size = 0
start = time.perf_counter()
for path in sys.argv[2:]:
    with uproot.open(path) as file:
        tree = file["Events"]
        names = tree.keys(recursive=False) if "RNTuple" in type(tree).__name__ else tree.keys()
        array = tree.arrays([n for n in names if sys.argv[1] == "all" or not re.match("_collection[0-9]+$", n)])
        events, size = events + len(array), size + array.nbytes
seconds = time.perf_counter() - start
use = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"events": events, "seconds": seconds, "cpuSeconds": use.ru_utime + use.ru_stime, "megabytes": size / 1e6, "peakMb": use.ru_maxrss // 1024}))
"""


def files(folder):
    found = sorted(glob.glob(os.path.join(folder, "*.root")))
    assert found, f"no *.root in {folder}"
    return found


def run(words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words[:4])}: {done.stderr[-800:]}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def joined(primary, friend, jobs):
    with tempfile.TemporaryDirectory() as folder:
        words = [NODE, os.path.join(TOP, "dist", "colweave.js"), "join", *primary, "--with", *friend, "-j", str(jobs), "-o", os.path.join(folder, "out.parquet")]
        start = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = process.stderr.read()
        _, status, use = os.wait4(process.pid, 0)
        assert status == 0, errors[-800:]
        return {"seconds": time.perf_counter() - start, "cpuSeconds": use.ru_utime + use.ru_stime, "peakMb": use.ru_maxrss // 1024}


def main():
    parser = argparse.ArgumentParser()
    for name in ("rntuple", "tree", "friend"):
        parser.add_argument(f"--{name}", required=name == "rntuple", help="a folder")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rntuple, tree = files(given.rntuple), files(given.tree) if given.tree else []
    read = os.path.join(TOP, "test", "bench", "read-source.ts")
    cases = {
        "uproot RNTuple": lambda: run([sys.executable, "-c", UPROOT, "once", *rntuple]),
        "uproot RNTuple, all keys": lambda: run([sys.executable, "-c", UPROOT, "all", *rntuple]),
        "colweave RNTuple": lambda: run([NODE, read, "0", *rntuple]),
        "colweave RNTuple, 16384 rows a read": lambda: run([NODE, read, "16384", *rntuple]),
    }
    if tree:
        cases["colweave TTree"] = lambda: run([NODE, read, "0", *tree])
    if given.friend:
        friend = files(given.friend)
        for jobs in (1, 2):
            cases[f"join from RNTuple, -j {jobs}"] = lambda jobs=jobs: joined(rntuple, friend, jobs)
            if tree:
                cases[f"join from TTree, -j {jobs}"] = lambda jobs=jobs: joined(tree, friend, jobs)
    results = {name: [] for name in cases}
    for _ in range(given.rounds):
        for name, work in cases.items():
            results[name].append(work())
    print(f"{'median of ' + str(given.rounds):40} {'s':>6} {'least':>6} {'most':>6} {'cpu s':>6} {'MB':>6}")
    for name, rounds in results.items():
        seconds = [r["seconds"] for r in rounds]
        middle = lambda key: statistics.median(r[key] for r in rounds)
        print(f"{name:40} {statistics.median(seconds):6.2f} {min(seconds):6.2f} {max(seconds):6.2f} {middle('cpuSeconds'):6.2f} {middle('peakMb'):6.0f}")


if __name__ == "__main__":
    main()
