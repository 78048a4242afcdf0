"""Drives a node with one client of others, in the environment that has it; prints what came back as JSON.

Run as: python others.py CLIENT '{"http": …, "http_port": …, "grpc": …, "key": "fb-…"}'
Every client asks the model `twice` for the same rows, in each way that it has.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

ROWS = [[1.5, -2.25, 3.0], [0.1, 1e-7, 65504.0]]
COLUMNS = ["a", "b", "c"]


def refused(work: Callable[[], Any]) -> dict[str, str]:
    """The class and the words of an error."""
    try:
        work()
    except Exception as error:  # noqa: BLE001  # whatever the client makes of a refusal is what we look at
        return {"class": type(error).__name__, "says": str(error)}
    return {"class": "answered", "says": ""}


def ovmsclient(place: dict[str, Any]) -> dict[str, Any]:
    client: Any = import_module("ovmsclient")
    array = import_module("numpy").array(ROWS, dtype="float32")
    clients = {
        "http": client.make_http_client(f"{place['key']}@{place['http']}"),  # a key as a user's name
        "grpc": client.make_grpc_client(place["grpc"]),  # it can send none: the node's anonymous key
    }
    return {name: _ovmsclient(each, array) for name, each in clients.items()}


def _ovmsclient(client: Any, array: Any) -> dict[str, Any]:
    return {
        "rows": client.predict({"x": array}, "twice").tolist(),
        "version": client.predict({"x": array}, "twice", 1).tolist(),
        "metadata": client.get_model_metadata("twice"),
        "status": client.get_model_status("twice"),
        "no_model": refused(lambda: client.predict({"x": array}, "nobody")),
        "bad_shape": refused(lambda: client.predict({"x": array[:, :2]}, "twice")),
    }


def mlflow(place: dict[str, Any]) -> dict[str, Any]:
    scoring: Any = import_module("mlflow.pyfunc.scoring_server.client")
    numpy, pandas = import_module("numpy"), import_module("pandas")
    client = scoring.ScoringServerClient(f"{place['key']}@127.0.0.1", place["http_port"])
    client.wait_server_ready(10)
    frame = pandas.DataFrame(ROWS, columns=COLUMNS)
    return {
        "version": client.get_version(),
        "frame": client.invoke(frame).get_predictions("ndarray").tolist(),
        "shuffled": client.invoke(frame[["c", "a", "b"]]).get_predictions("ndarray").tolist(),
        "array": client.invoke(numpy.array(ROWS)).get_predictions("ndarray").tolist(),
        "as_frame": client.invoke(frame).get_predictions().to_numpy().tolist(),
        "wrong": refused(lambda: client.invoke(frame[["a"]])),
    }


def boto3(place: dict[str, Any]) -> dict[str, Any]:
    aws: Any = import_module("boto3")

    def client(key: str) -> Any:
        return aws.client(
            "sagemaker-runtime",
            region_name="eu-west-1",
            endpoint_url=f"http://{place['http']}",
            aws_access_key_id=key,
            aws_secret_access_key="anything",
        )

    ours = client(place["key"])
    body = json.dumps({"instances": ROWS})
    csv = "\n".join(",".join(map(repr, row)) for row in ROWS)
    answer = ours.invoke_endpoint(EndpointName="twice", ContentType="application/json", Body=body)

    def rows(said: Any) -> Any:
        return json.loads(said["Body"].read())["predictions"]

    return {
        "json": rows(answer),
        "variant": answer["InvokedProductionVariant"],
        "csv": rows(ours.invoke_endpoint(EndpointName="twice", ContentType="text/csv", Body=csv)),
        "no_model": refused(lambda: ours.invoke_endpoint(EndpointName="nobody", Body=body)),
        "bad_shape": refused(lambda: ours.invoke_endpoint(EndpointName="twice", Body='{"instances": [[1]]}')),
        "no_key": refused(lambda: client("fb-0-0").invoke_endpoint(EndpointName="twice", Body=body)),
    }


def kserve(place: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_kserve(place))


async def _kserve(place: dict[str, Any]) -> dict[str, Any]:
    client: Any = import_module("kserve")
    rest: Any = import_module("kserve.inference_client")
    array = import_module("numpy").array(ROWS, dtype="float32")
    headers = {"authorization": f"Bearer {place['key']}"}
    url = f"http://{place['http']}"
    found: dict[str, Any] = {}
    for protocol in ("v1", "v2"):
        each = rest.InferenceRESTClient(rest.RESTConfig(protocol=protocol))
        data: Any = {"instances": ROWS}
        if protocol == "v2":
            tensor = client.InferInput("x", list(array.shape), "FP32")
            tensor.set_data_from_numpy(array, binary_data=True)
            data = client.InferRequest(model_name="twice", infer_inputs=[tensor])
        answer = await each.infer(url, data, "twice", headers=dict(headers))
        said = {
            "rows": answer["predictions"] if protocol == "v1" else answer.outputs[0].as_numpy().tolist(),
            "live": await each.is_server_live(url),
            "model_ready": await each.is_model_ready(url, "twice", headers=dict(headers)),
        }
        try:
            await each.infer(url, data, "nobody", headers=dict(headers))
        except Exception as error:  # noqa: BLE001  # what the client makes of a refusal is what we look at
            said["no_model"] = {"class": type(error).__name__, "says": str(error)}
        found[protocol] = said
    grpc = client.InferenceGRPCClient(place["grpc"])
    tensor = client.InferInput("x", list(array.shape), "FP32")
    tensor.set_data_from_numpy(array, binary_data=True)
    request = client.InferRequest(model_name="twice", infer_inputs=[tensor])
    pairs = list(headers.items())
    answer = await grpc.infer(request, headers=pairs)
    found["grpc"] = {
        "rows": answer.outputs[0].as_numpy().tolist(),
        "live": await grpc.is_server_live(headers=pairs),
        "model_ready": await grpc.is_model_ready("twice", headers=pairs),
    }
    await grpc.close()
    return found


if __name__ == "__main__":
    CLIENTS = {"ovmsclient": ovmsclient, "mlflow": mlflow, "boto3": boto3, "kserve": kserve}
    json.dump(CLIENTS[sys.argv[1]](json.loads(sys.argv[2])), sys.stdout)
