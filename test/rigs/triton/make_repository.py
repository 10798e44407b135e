"""Lays out a Triton model repository: the models of make_models.py, and models that go wrong in one way each.

  mlp bdt (versions 1 and 2), jettag edgeconv, mlp_nobatch (max_batch_size 0)
  t_slow (sleeps; a queue of 2)  t_nan  t_badshape (drops the last row)  t_fail  t_ver (answers its version)
  t_repeat (decoupled)  t_wide (Y = column 0 of 120: all transport, no work)
usage: make_repository.py MODELS REPOSITORY [--threads N] [--batch ROWS]
"""
import argparse
import pathlib
import shutil

parser = argparse.ArgumentParser()
parser.add_argument("models", type=pathlib.Path)
parser.add_argument("repository", type=pathlib.Path)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--batch", type=int, default=8192)
args = parser.parse_args()
here = pathlib.Path(__file__).parent

X, Y = [("X", [20])], [("Y", [1])]
REAL = {
    "mlp": (X, [("score", [1])]),
    "jettag": ([("jets", [20, 6]), ("mask", [20])], [("probs", [3])]),
    "edgeconv": ([("jets", [20, 6])], [("probs", [3])]),
    "bdt": (X, [("probabilities", [2])]),
}
QUEUE = ("dynamic_batching { max_queue_delay_microseconds: 0 default_queue_policy { timeout_action: REJECT "
         "default_timeout_microseconds: 2000000 allow_timeout_override: true max_queue_size: 2 } }\n")
DYNAMIC = "dynamic_batching { max_queue_delay_microseconds: 200 }\n"
LATEST = "version_policy: { latest { num_versions: 1 } }\n"
ALL = "version_policy: { all { } }\n"


def tensors(word, specs):
    each = ",\n".join(f'  {{ name: "{name}" data_type: TYPE_FP32 dims: {shape} }}' for name, shape in specs)
    return f"{word} [\n{each}\n]\n"


def put(name, script, inputs, outputs, *, parameters, more="", batch=args.batch, versions=(1,), weights=None):
    folder = args.repository / name
    for version in versions:
        (folder / str(version)).mkdir(parents=True, exist_ok=True)
        shutil.copy(here / script, folder / str(version) / "model.py")
        if weights:
            shutil.copy(args.models / weights / str(version) / "model.onnx", folder / str(version) / "model.onnx")
    (folder / "config.pbtxt").write_text(
        f'name: "{name}"\nbackend: "python"\nmax_batch_size: {batch}\n'
        + tensors("input", inputs) + tensors("output", outputs)
        + "instance_group [ { kind: KIND_CPU count: 1 } ]\n"
        + "".join(f'parameters {{ key: "{k}" value {{ string_value: "{v}" }} }}\n' for k, v in parameters.items())
        + more)


threads = {"threads": args.threads}
for name, (inputs, outputs) in REAL.items():
    two = name in ("mlp", "bdt")
    put(name, "onnx_model.py", inputs, outputs, parameters=threads, weights=name, more=DYNAMIC + (ALL if two else ""),
        versions=(1, 2) if two else (1,))
put("mlp_nobatch", "onnx_model.py", [("X", [-1, 20])], [("score", [-1, 1])], parameters=threads, weights="mlp", batch=0)
for kind, more in (("slow", QUEUE), ("nan", ""), ("badshape", ""), ("fail", ""), ("ver", LATEST)):
    put(f"t_{kind}", "fault_model.py", X, Y, parameters={"kind": kind, "delay": "1.0"}, more=more,
        versions=(1, 2) if kind == "ver" else (1,))
put("t_repeat", "repeat_model.py", X, Y, parameters={}, more="model_transaction_policy { decoupled: True }\n")
put("t_wide", "fault_model.py", [("X", [120])], Y, parameters={"kind": "none", "delay": "0"}, more=DYNAMIC)
