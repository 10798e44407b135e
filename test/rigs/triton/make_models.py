"""Makes the small ONNX models that the inference tests ask for: seeded, so every machine makes the same weights.

  mlp       X[N,20] -> score[N,1]                        an event classifier: four dense layers
  jettag    jets[N,20,6], mask[N,20] -> probs[N,3]       DeepSets over padded jets: what the mask hides adds nothing
  edgeconv  jets[N,20,6] -> probs[N,3]                   edge convolutions over all pairs, like ParticleNet: much work a byte
  bdt       X[N,20] -> label[N], probabilities[N,2]      boosted trees, as scikit-learn exports them

Each has versions 1 and 2 with other weights, so that a mix of versions shows.
usage: make_models.py DIRECTORY
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8
FLOAT = TensorProto.FLOAT


class Graph:
    """Nodes and weights of one model; each method returns the name of what it makes."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def op(self, kind, *inputs, **attributes):
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values):
        name = f"w_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def dense(self, x, wide_in, wide_out, activation=None):
        scale = np.float32(1 / np.sqrt(wide_in))
        weight = self.constant(self.random.standard_normal((wide_in, wide_out)).astype(np.float32) * scale)
        bias = self.constant(self.random.standard_normal(wide_out).astype(np.float32) * np.float32(0.05))
        z = self.op("Add", self.op("MatMul", x, weight), bias)
        return self.op(activation, z) if activation else z

    def save(self, path, result, inputs, output):
        name, shape = output
        self.nodes.append(helper.make_node("Identity", [result], [name]))
        graph = helper.make_graph(
            self.nodes, path.parent.parent.name,
            [helper.make_tensor_value_info(n, FLOAT, ["N", *s]) for n, s in inputs],
            [helper.make_tensor_value_info(name, FLOAT, ["N", *shape])], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="colweave-rig")
        model.ir_version = IR
        onnx.checker.check_model(model)
        onnx.save(model, path)


def mlp(path, seed):
    g, x = Graph(seed), "X"
    for wide_in, wide_out in ((20, 128), (128, 128), (128, 64)):
        x = g.dense(x, wide_in, wide_out, "Relu")
    g.save(path, g.op("Sigmoid", g.dense(x, 64, 1)), [("X", [20])], ("score", [1]))


def jettag(path, seed):
    g, x = Graph(seed), "jets"
    for wide_in, wide_out in ((6, 64), (64, 64), (64, 64)):
        x = g.dense(x, wide_in, wide_out, "Relu")
    masked = g.op("Mul", x, g.op("Unsqueeze", "mask", g.constant(np.array([2], np.int64))))
    x = g.op("ReduceSum", masked, g.constant(np.array([1], np.int64)), keepdims=0)
    x = g.dense(g.dense(x, 64, 64, "Relu"), 64, 3)
    g.save(path, g.op("Softmax", x, axis=-1), [("jets", [20, 6]), ("mask", [20])], ("probs", [3]))


def edgeconv(path, seed):
    g, x, wide = Graph(seed), "jets", 6
    first, second = (g.constant(np.array([axis], np.int64)) for axis in (1, 2))
    rows, columns = (g.constant(np.array(shape, np.int64)) for shape in ((1, 1, 20, 1), (1, 20, 1, 1)))
    for out in (32, 64):
        mine = g.op("Expand", g.op("Unsqueeze", x, second), rows)
        theirs = g.op("Expand", g.op("Unsqueeze", x, first), columns)
        edges = g.op("Concat", mine, g.op("Sub", theirs, mine), axis=3)
        edges = g.dense(g.dense(edges, 2 * wide, out, "Relu"), out, out, "Relu")
        x, wide = g.op("ReduceMean", edges, axes=[2], keepdims=0), out
    x = g.dense(g.op("ReduceMean", x, axes=[1], keepdims=0), wide, 3)
    g.save(path, g.op("Softmax", x, axis=-1), [("jets", [20, 6])], ("probs", [3]))


def bdt(path, seed):
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier
    random = np.random.default_rng(seed)
    x = random.standard_normal((8000, 20)).astype(np.float32)
    truth = x[:, 0] * x[:, 1] + x[:, 2] ** 2 - 0.5 * x[:, 3] + random.standard_normal(8000) > 0.7
    trees = GradientBoostingClassifier(n_estimators=200, max_depth=4, subsample=0.5, random_state=seed)
    trees.fit(x, truth.astype(int))
    onnx.save(to_onnx(trees, x[:1], options={id(trees): {"zipmap": False}},
                      target_opset={"": OPSET, "ai.onnx.ml": 3}), path)


for make in (mlp, jettag, edgeconv, bdt):
    for version in (1, 2):
        target = pathlib.Path(sys.argv[1]) / make.__name__ / str(version) / "model.onnx"
        target.parent.mkdir(parents=True, exist_ok=True)
        make(target, 100 * version + len(make.__name__))
