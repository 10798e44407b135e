#!/usr/bin/env python3
"""The whole task, columns in and Parquet out: `colweave infer` against coffea's triton_wrapper and tritonclient, each followed by pyarrow's writer, on the same file and the same server.
One child process a run, interleaved; wall time, CPU time and peak memory of the child, start-up included; "work" is the wall time without the imports of Python, but with the start of node. Scores of all are compared by key.
usage: infer_task.py --server http://H:P --grpc grpc://H:P --data FILE.parquet [--model mlp] [--runs 5] [--batch 8192] [--only NAME,..] > report.json
       infer_task.py --make DATA.parquet FILE.root...   (key columns and the 20 inputs of the model, standardized, from NanoAOD)
Needs the environment of test/rigs/requirements-infer.txt, dist/ and node."""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEYS = ["run", "luminosityBlock", "event"]
FLAT = ["genWeight", "Pileup_nTrueInt", "Pileup_nPU", "PV_npvs", "PV_x", "PV_z", "fixedGridRhoFastjetAll", "MET_pt", "MET_phi", "MET_sumEt", "HLT_IsoMu24", "HLT_IsoMu27", "HLT_Ele32_WPTight_Gsf",
        "HLT_Mu50", "HLT_PFMET120_PFMHT120_IDTight", "HLT_PFHT1050", "HLT_Ele115_CaloIdVT_GsfTrkIdT", "HLT_Photon200", "nJet", "nMuon"]
MODEL = "model: mlp\nversion: 1\ninputs:\n  X: {columns: [%s]}\noutputs: {score: score}\n" % ", ".join(FLAT)


def make(out, files):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import uproot

    tables = []
    for path in files:
        arrays = uproot.open(f"{path}:Events").arrays(KEYS + FLAT, library="np")
        # scores of inputs as they are would all be near 0 or 1, and tell no event from another
        scaled = {name: (arrays[name] - arrays[name].mean()) / max(arrays[name].std(), 1e-6) for name in FLAT}
        tables.append(pa.table({name: arrays[name] if name in KEYS else scaled[name].astype(np.float32) for name in KEYS + FLAT}))
    pq.write_table(pa.concat_tables(tables), out, compression="zstd", row_group_size=131072)


def read(path):
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=KEYS + FLAT)
    return table.select(KEYS), np.stack([table[name].to_numpy() for name in FLAT], axis=1)


def write(keys, scores, out):
    import pyarrow.parquet as pq

    pq.write_table(keys.append_column("score", [scores]), out, compression="zstd")


def coffea(data, url, out, batch):
    import numpy as np
    from coffea.ml_tools.triton_wrapper import triton_wrapper

    class Mlp(triton_wrapper):
        def prepare_awkward(self, x):
            return [], {"output_list": ["score"], "input_dict": {"X": x}}

    began = time.perf_counter()
    keys, x = read(data)
    import awkward as ak

    wrapper = Mlp(f"triton+grpc://{url.split('://')[1]}/mlp/1", client_args={"ssl": False}, batch_size=batch)
    write(keys, np.asarray(wrapper(ak.from_numpy(x))["score"]).reshape(-1), out)
    return time.perf_counter() - began


def tritonclient(data, url, out, batch, kind):
    import numpy as np

    if kind == "grpc":
        import tritonclient.grpc as client
    else:
        import tritonclient.http as client
    began = time.perf_counter()
    keys, x = read(data)
    server = client.InferenceServerClient(url.split("://")[1])
    found = []
    for at in range(0, len(x), batch):
        part = np.ascontiguousarray(x[at:at + batch])
        given = client.InferInput("X", part.shape, "FP32")
        given.set_data_from_numpy(part)
        found.append(server.infer("mlp", [given], model_version="1", outputs=[client.InferRequestedOutput("score")]).as_numpy("score")[:, 0])
    write(keys, np.concatenate(found), out)
    return time.perf_counter() - began


def colweave(data, url, out, batch):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as model:
        model.write(MODEL)
        model.flush()
        node = os.path.join(TOP, "node_modules", ".bin", "node")
        words = ["infer", data, "--model", model.name, "--server", url, "--batch-rows", str(batch), "-q", "-o", out]
        began = time.perf_counter()
        subprocess.run([node, os.path.join(TOP, "dist", "colweave.js"), *words], check=True)
        return time.perf_counter() - began


def same(first, other):
    import numpy as np
    import pyarrow.parquet as pq

    tables = [pq.read_table(path).sort_by([(key, "ascending") for key in KEYS]) for path in (first, other)]
    assert all(tables[0][key].equals(tables[1][key].cast(tables[0][key].type)) for key in KEYS), "other events"
    return float(np.max(np.abs(tables[0]["score"].to_numpy() - tables[1]["score"].to_numpy())))


CASES = {
    "colweave http": lambda a, out: colweave(a.data, a.server, out, a.batch),
    "colweave grpc": lambda a, out: colweave(a.data, a.grpc, out, a.batch),
    "coffea grpc": lambda a, out: coffea(a.data, a.grpc, out, a.batch),
    "tritonclient http": lambda a, out: tritonclient(a.data, a.server, out, a.batch, "http"),
    "tritonclient grpc": lambda a, out: tritonclient(a.data, a.grpc, out, a.batch, "grpc"),
}


def child(args):
    """One run, in a process of its own: prints its own figures"""
    work = CASES[args.child](args, args.out)
    used = resource.getrusage(resource.RUSAGE_CHILDREN if args.child.startswith("colweave") else resource.RUSAGE_SELF)
    print(json.dumps({"work": work, "cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss * 1024}))


def main():
    parser = argparse.ArgumentParser()
    for name in ("--server", "--grpc", "--data", "--make", "--child", "--out"):
        parser.add_argument(name)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--only", default=",".join(CASES))
    args, files = parser.parse_known_args()
    if args.make:
        return make(args.make, files)
    if args.child:
        return child(args)
    found = {name: [] for name in args.only.split(",")}
    apart = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.runs):
            for name in found:
                out = os.path.join(folder, name.replace(" ", "-") + ".parquet")
                if os.path.exists(out):
                    os.remove(out)
                began = time.perf_counter()
                done = subprocess.run([sys.executable, "-W", "ignore", *sys.argv, "--child", name, "--out", out], check=True, capture_output=True, text=True)
                found[name].append({"wall": time.perf_counter() - began, **json.loads(done.stdout.splitlines()[-1])})
        first, *others = [os.path.join(folder, name.replace(" ", "-") + ".parquet") for name in found]
        apart = {name: same(first, path) for name, path in zip([*found][1:], others)}
    cases = {name: {"work": statistics.median(r["work"] for r in runs), "wall": statistics.median(r["wall"] for r in runs), "cpu": statistics.median(r["cpu"] for r in runs), "rss": max(r["rss"] for r in runs), "runs": runs} for name, runs in found.items()}
    print(json.dumps({"cases": cases, "apart": apart, "load": os.getloadavg(), "cpus": os.cpu_count()}, indent=1))
    for name, case in cases.items():
        print(f"{name:18} work {case['work']:.2f} s  wall {case['wall']:.2f} s  cpu {case['cpu']:.2f} s  peak {case['rss'] / 1e6:.0f} MB", file=sys.stderr)


main()
