"""A Triton python model that runs model.onnx beside it in onnxruntime: the wheel's server has no onnxruntime backend."""
import json
import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as backend


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(config["parameters"]["threads"]["string_value"])
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.outputs = [each["name"] for each in config["output"]]

    def execute(self, requests):
        # one call for all requests of the dynamic batch, then each gets its rows
        parts = {n: [backend.get_input_tensor_by_name(r, n).as_numpy() for r in requests] for n in self.inputs}
        whole = {n: p[0] if len(p) == 1 else np.concatenate(p) for n, p in parts.items()}
        results = self.session.run(self.outputs, whole)
        ends = np.cumsum([len(part) for part in parts[self.inputs[0]]])
        return [backend.InferenceResponse([backend.Tensor(n, v[end - len(part):end])
                                           for n, v in zip(self.outputs, results)])
                for part, end in zip(parts[self.inputs[0]], ends)]
