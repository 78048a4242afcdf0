"""A node, asked over gRPC as TensorFlow Serving is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from forebay.serving.wire import Call, tfs_grpc
from support.asked_models import all_deployed
from support.grpc_caller import Caller, calling, refused
from support.nodes import Running, running

PREDICTION, MODEL = "/tensorflow.serving.PredictionService", "/tensorflow.serving.ModelService"
ROW = np.array([[1, 2, 3]], np.float32)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = all_deployed(tmp_path_factory.mktemp("node"))
    prepared.key()
    with running(prepared) as started:
        yield started


@pytest.fixture
def caller(node: Running) -> Iterator[Caller]:
    key = node.prepared.key()
    node.apply(node.prepared.snapshot())
    with calling(node, key) as found:
        yield found


def said(caller: Caller, method: str, request: str, response: str, **fields: Any) -> Any:
    message = tfs_grpc.PROTOCOL.message
    body = message(f"tensorflow.serving.{request}")(**fields).SerializeToString()
    return message(f"tensorflow.serving.{response}").FromString(caller.bytes(method, body))


def predict(caller: Caller, call: Call) -> Any:
    return tfs_grpc.decode_answer(caller.bytes(f"{PREDICTION}/Predict", tfs_grpc.encode_request(call)))


def example(**values: float) -> dict[str, Any]:
    feature = {name: {"float_list": {"value": [value]}} for name, value in values.items()}
    return {"example_list": {"examples": [{"features": {"feature": feature}}]}}


def test_a_model_predicts(caller: Caller) -> None:
    answer = predict(caller, Call("twice", {"x": ROW}))
    assert (answer.model, answer.version) == ("twice", "1")
    assert answer.outputs["y"].tolist() == [[2, 4, 6]]


def test_versions_and_labels_choose(caller: Caller) -> None:
    assert predict(caller, Call("either", {"x": ROW}, "2")).outputs["y"].tolist() == [[100, 200, 300]]
    request = tfs_grpc.PROTOCOL.message("tensorflow.serving.PredictRequest").FromString(
        tfs_grpc.encode_request(Call("either", {"x": ROW}))
    )
    request.model_spec.version_label = "champion"
    found = caller.bytes(f"{PREDICTION}/Predict", request.SerializeToString())
    assert tfs_grpc.decode_answer(found).version == "2"


def test_outputs_are_chosen(caller: Caller) -> None:
    chosen = predict(caller, Call("judge", {"x": ROW}, outputs=("label",)))
    assert {name: array.tolist() for name, array in chosen.outputs.items()} == {"label": [b"owl"]}
    with refused("INVALID_ARGUMENT", "no output 'z'"):
        predict(caller, Call("judge", {"x": ROW}, outputs=("z",)))


def test_examples_are_judged(caller: Caller) -> None:
    asked = {"model_spec": {"name": "judge"}, "input": example(a=0, b=9, c=0)}
    found = said(caller, f"{PREDICTION}/Classify", "ClassificationRequest", "ClassificationResponse", **asked)
    best = max(found.result.classifications[0].classes, key=lambda each: each.score)
    assert (best.label, found.model_spec.version.value) == ("dog", 1)
    task = {"model_spec": {"name": "judge"}, "method_name": "tensorflow/serving/classify"}
    multi = said(
        caller,
        f"{PREDICTION}/MultiInference",
        "MultiInferenceRequest",
        "MultiInferenceResponse",
        tasks=[task, task],
        input=asked["input"],
    )
    assert [len(each.classification_result.classifications) for each in multi.results] == [1, 1]
    with refused("UNIMPLEMENTED", "no output of this model is one number"):
        asked["model_spec"] = {"name": "twice"}
        asked["input"] = example(a=1, b=2, c=3)
        said(caller, f"{PREDICTION}/Regress", "RegressionRequest", "RegressionResponse", **asked)


def test_status_and_metadata(caller: Caller) -> None:
    spec = {"name": "either"}
    status = said(
        caller, f"{MODEL}/GetModelStatus", "GetModelStatusRequest", "GetModelStatusResponse", model_spec=spec
    )
    assert [(each.version, each.state) for each in status.model_version_status] == [(1, 30), (2, 30)]
    about: dict[str, Any] = {"model_spec": spec, "metadata_field": ["signature_def"]}
    kinds = ("GetModelMetadataRequest", "GetModelMetadataResponse")
    found = said(caller, f"{PREDICTION}/GetModelMetadata", *kinds, **about)
    assert found.model_spec.version.value == 2
    with refused("INVALID_ARGUMENT", "is not supported"):
        said(caller, f"{PREDICTION}/GetModelMetadata", *kinds, model_spec=spec, metadata_field=["other"])


def test_mistakes_are_explained(caller: Caller) -> None:
    with refused("NOT_FOUND", "Request for unknown model"):
        predict(caller, Call("nobody", {"x": ROW}))
    with refused("INVALID_ARGUMENT", "takes the shape"):
        predict(caller, Call("twice", {"x": ROW[:, :2]}))
    with refused("INVALID_ARGUMENT", "names no model"):
        predict(caller, Call("", {"x": ROW}))


def test_a_reload_is_said_to_be_a_deployment(caller: Caller) -> None:
    with refused("UNIMPLEMENTED", "forebay deploy"):
        caller.bytes(f"{MODEL}/HandleReloadConfigRequest")


def test_both_protocols_are_one_ledger(node: Running, caller: Caller) -> None:
    predict(caller, Call("twice", {"x": ROW}))
    shipment = node.node.journal.read(100_000)
    assert shipment is not None
    assert {"tfs-grpc"} <= {event.protocol for event in shipment.events}
