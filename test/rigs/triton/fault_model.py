"""A Triton python model that does one thing wrong, named by its parameter `kind`: Y is else the first column of X."""
import json
import time

import numpy as np
import triton_python_backend_utils as backend


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self.kind = parameters["kind"]["string_value"]
        self.delay = float(parameters["delay"]["string_value"])
        self.version = float(args["model_version"])

    def execute(self, requests):
        return [self.answer(backend.get_input_tensor_by_name(request, "X").as_numpy()) for request in requests]

    def answer(self, x):
        if self.kind == "fail":
            return backend.InferenceResponse([], backend.TritonError("model failed on purpose"))
        if self.kind == "slow":
            time.sleep(self.delay)
        y = x[:, :1].astype(np.float32).copy()
        if self.kind == "nan":
            y[::3] = np.nan
        if self.kind == "badshape":
            y = y[:-1]
        if self.kind == "ver":
            y[:] = self.version
        return backend.InferenceResponse([backend.Tensor("Y", y)])
