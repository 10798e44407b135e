"""MLServer has no runtime for ONNX: this one runs the model that `uri` names, all outputs it is asked for."""
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        return True

    async def predict(self, request: InferenceRequest) -> InferenceResponse:
        feed = {each.name: NumpyCodec.decode_input(each) for each in request.inputs}
        names = [each.name for each in request.outputs or []] or [each.name for each in self.session.get_outputs()]
        results = self.session.run(names, feed)
        return InferenceResponse(id=request.id, model_name=self.name, model_version=self.version,
                                 outputs=[NumpyCodec.encode_output(n, v) for n, v in zip(names, results)])
