"""Messages as Google's protobuf writes them, for test/unit/infer-parts.test.ts: kserve_messages.py > kserve-messages.json

Needs tritonclient[grpc] (test/rigs/venv.sh --list requirements-triton.txt).
"""
import json

from tritonclient.grpc import model_config_pb2 as config
from tritonclient.grpc import service_pb2 as service

infer = service.ModelInferResponse(model_name="tagger", model_version="3", id="r\u00e9ponse-7")
infer.parameters["triton_final_response"].bool_param = True
for name, kind, shape in (("probs", "FP32", [2, 3]), ("label", "INT64", [2])):
    infer.outputs.add(name=name, datatype=kind, shape=shape).parameters["x"].double_param = 0.5
infer.raw_output_contents.extend([bytes(range(24)), bytes(16)])

request = service.ModelInferRequest(model_name="tagger", model_version="3", id="b12")
for name, kind, shape in (("jets", "FP32", [200, 20, 6]), ("mask", "BOOL", [200, 1])):
    request.inputs.add(name=name, datatype=kind, shape=shape)
request.outputs.add(name="probs")
request.raw_input_contents.extend([b"jets" * 300, b""])

metadata = service.ModelMetadataResponse(name="tagger", versions=["3", "12"], platform="onnxruntime_onnx")
metadata.inputs.add(name="jets", datatype="FP32", shape=[-1, 20, 6])
metadata.outputs.add(name="probs", datatype="FP32", shape=[-1, 3])

told = service.ModelConfigResponse()
told.config.name, told.config.platform, told.config.backend = "tagger", "onnxruntime_onnx", "onnxruntime"
told.config.max_batch_size = 4096
told.config.input.add(name="jets", data_type=config.TYPE_FP32, dims=[20, -1])
told.config.output.add(name="probs", data_type=config.TYPE_FP64, dims=[3])
told.config.parameters["threads"].string_value = "2"
told.config.ensemble_scheduling.step.add(model_name="first", model_version=-1).input_map["a"] = "b"
told.config.model_transaction_policy.decoupled = True
told.config.instance_group.add(count=2)

statistics = service.ModelStatisticsResponse()
model = statistics.model_stats.add(name="tagger", version="3", inference_count=123456, execution_count=99)
model.last_inference = 1700000000000
for part in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
    duration = getattr(model.inference_stats, part)
    duration.count, duration.ns = len(part), 10 ** 12 + len(part)

index = service.RepositoryIndexResponse()
index.models.add(name="tagger", version="3", state="READY")
index.models.add(name="old", version="1", state="UNAVAILABLE", reason="unloaded")

print(json.dumps({name: message.SerializeToString(deterministic=True).hex() for name, message in {
    "infer": infer, "request": request, "metadata": metadata, "config": told, "statistics": statistics, "index": index,
}.items()}, indent=1))
