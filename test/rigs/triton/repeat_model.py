"""A decoupled Triton python model: one answer a row, which a call of one answer cannot carry."""
import triton_python_backend_utils as backend


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            x = backend.get_input_tensor_by_name(request, "X").as_numpy()
            sender = request.get_response_sender()
            for row in range(len(x)):
                sender.send(backend.InferenceResponse([backend.Tensor("Y", x[row:row + 1, :1])]))
            sender.send(flags=backend.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
