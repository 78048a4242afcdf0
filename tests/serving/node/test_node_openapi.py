"""Each deployment says in OpenAPI what it takes and gives, with a call that works as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from onnx import TensorProto, helper
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import forebay
from forebay.core import DataType, Key, Signature, TensorSpec
from support.nodes import Prepared, Running, running
from support.tiny_models import echo_text, graph_bytes, scaler

pytestmark = pytest.mark.slow
TEXT = Signature((TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),))
MODELS = ["iris", "twice", "text", "image", "flags", "whole", "halves"]


def same(datatype: DataType, kind: int, *shape: int) -> tuple[bytes, Signature]:
    """A model that answers each row, of the *shape*, with itself."""
    sides: list[str | int | None] = ["batch", *shape]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", kind, sides)],
        [helper.make_tensor_value_info("y", kind, sides)],
    )
    specs = (TensorSpec(name, datatype, (-1, *shape)) for name in "xy")
    return graph_bytes(graph), Signature((next(specs),), (next(specs),))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    prepared = Prepared(tmp_path_factory.mktemp("node"))
    flowers = load_iris(as_frame=True)
    model = LogisticRegression(max_iter=500).fit(flowers.data, flowers.target_names[flowers.target])
    folder = tmp_path_factory.mktemp("iris") / "artifact"
    forebay.convert(model, flowers.data).save(folder)
    prepared.deploy("iris", [prepared.keep(folder)])
    prepared.deploy("twice", [prepared.artifact(scaler()), prepared.artifact(scaler(3))])
    prepared.deploy("text", [prepared.artifact(echo_text(), TEXT)])
    two = (TensorSpec("x", DataType.FP32, (2, 3)),), (TensorSpec("y", DataType.FP32, (2, 3)),)
    prepared.deploy("pair", [prepared.artifact(scaler(batch=2), Signature(*two))])
    for name, datatype, kind, shape in (
        ("image", DataType.FP32, TensorProto.FLOAT, (1, 2, 3)),
        ("flags", DataType.BOOL, TensorProto.BOOL, (3,)),
        ("whole", DataType.INT8, TensorProto.INT8, (3,)),
        ("halves", DataType.BF16, TensorProto.BFLOAT16, (3,)),
    ):
        prepared.deploy(name, [prepared.artifact(*same(datatype, kind, *shape))])
    with running(prepared) as started:
        yield started


def document(node: Running, key: Key, path: str) -> Any:
    with node.client(key) as client:
        answer = client.get(f"{path}/openapi.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def body_of(said: dict[str, Any]) -> dict[str, Any]:
    [path] = said["paths"].values()
    content: dict[str, Any] = path["post"]["requestBody"]["content"]["application/json"]
    return content


def fits(said: dict[str, Any], name: str, value: Any) -> bool:
    """Whether *value* is what the document calls *name*."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": said["components"]}
    return bool(OAS31Validator(schema).is_valid(value))


@pytest.mark.parametrize("model", MODELS)
def test_the_example_works_as_it_stands_and_the_answer_is_what_was_said(
    node: Running, key: Key, model: str
) -> None:
    said = document(node, key, f"/predict/{model}")
    validate(said)
    example = body_of(said)["example"]
    assert fits(said, "Request", example)
    [path] = said["paths"]
    with node.client(key) as client:
        answer = client.post(path, json=example)
    assert answer.status_code == 200, answer.text
    assert fits(said, "Answer", answer.json())
    assert len(answer.json()["rows"]) == 1


def test_columns_and_labels_have_their_names_and_the_example_is_a_real_row(node: Running, key: Key) -> None:
    said = document(node, key, "/predict/iris")
    [record] = body_of(said)["example"]["records"]
    assert list(record) == ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
    assert list(record.values()) == load_iris().data[0].tolist()
    row = said["components"]["schemas"]["Answer"]["properties"]["rows"]["items"]["properties"]
    assert list(row["probabilities"]["properties"]) == ["setosa", "versicolor", "virginica"]
    assert row["label"] == {"type": "string"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"records": [{"sepal length (cm)": 5.1}]},
        {"rows": [[5.1, 3.5]]},
        {"rows": [["long", 3.5, 1.4, 0.2]]},
        {"rows": []},
        {"rows": [[5.1, 3.5, 1.4, 0.2]], "records": []},
    ],
)
def test_what_the_document_forbids_is_refused(node: Running, key: Key, wrong: dict[str, Any]) -> None:
    said = document(node, key, "/predict/iris")
    assert not fits(said, "Request", wrong)
    with node.client(key) as client:
        answer = client.post("/predict/iris", json=wrong)
    assert answer.status_code == 400
    assert fits(said, "Error", answer.json())


def test_a_whole_number_has_the_limits_of_its_datatype(node: Running, key: Key) -> None:
    said = document(node, key, "/predict/whole")
    assert fits(said, "Request", {"rows": [[-128, 0, 127]]})
    assert not fits(said, "Request", {"rows": [[-129, 0, 127]]})


def test_each_version_has_a_document_of_its_own(node: Running, key: Key) -> None:
    said = document(node, key, "/predict/twice/versions/1")
    assert (list(said["paths"]), said["info"]["version"]) == (["/predict/twice/versions/1"], "1")
    assert document(node, key, "/predict/twice")["info"]["version"] == "2"


def test_who_may_not_ask_may_not_read_it_either(node: Running, key: Key) -> None:
    with node.client() as stranger, node.client(key) as client:
        assert stranger.get("/predict/iris/openapi.json").status_code == 401
        missing = client.get("/predict/absent/openapi.json")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not-found")


def test_a_model_that_takes_no_rows_says_where_to_look(node: Running, key: Key) -> None:
    with node.client(key) as client:
        answer = client.get("/predict/pair/openapi.json")
    assert answer.status_code == 400
    assert "GET /v2/models/pair says what it takes" in answer.json()["error"]["message"]
