"""The OpenAPI document: valid, complete, and with examples that the real endpoints take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from forebay.control.access import Role
from forebay.control.hub.application import application
from forebay.control.hub.services import Services
from forebay.core import Shipment, UsageEvent
from support.artifacts import register
from support.hub import RunningHub

PROBLEM = "application/problem+json"


@pytest.fixture
def document(services: Services) -> dict[str, Any]:
    found: dict[str, Any] = application(services, "0.1.0").openapi()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_a_valid_document_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_operation_says_what_it_is_for_and_what_may_go_wrong(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["tags"], name
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        for status in ("400", "401", "403", "503", "default"):
            assert set(operation["responses"][status]["content"]) == {PROBLEM}, name
        assert "422" not in operation["responses"], f"{name} answers 400 instead"


def test_what_is_named_in_a_path_may_be_not_there(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if "{project}" in name:
            assert "404" in operation["responses"], name


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_body_has_examples_that_fit_its_schema(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for place, content in _bodies(operation):
            for media in (media for kind, media in content.items() if kind == "application/json"):
                examples = _examples(document, media)
                assert examples, f"{name} has no example at {place}"
                schema = media.get("schema", {}) | {"components": document["components"]}
                for example in examples:
                    OAS31Validator(schema).validate(example)


def test_the_examples_of_bodies_are_taken_by_the_endpoints(
    hub: RunningHub, admin: httpx.Client, document: dict[str, Any]
) -> None:
    tried = 0
    noon = UsageEvent(1_760_000_000 * 10**9, "default", "k", "digits", 1, "oip", "infer", 1, 1, 1, 0, 0, 0)
    hub.services.ledger.ingest("node-1", Shipment.of("j", 0, [noon]))
    assert [one.number for one in hub.services.invoices.issue("default", "2025-10", "k")] == [1]
    for name, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for example in _examples(document, content.get("application/json", {})):
            method, path = name.split()
            register(hub.services.registry, hub.services.blobs, job=f"job-{tried}")
            key, _ = hub.services.access.create_key("default", Role.INFERENCE)
            answer = admin.request(method, _filled(path).replace("{key}", key.id), json=example)
            assert answer.status_code < 300, f"{name} {example}: {answer.text}"
            tried += 1
    assert tried >= 4


def test_the_document_and_its_page_are_open(hub: RunningHub) -> None:
    client = hub.client()
    assert client.get("/openapi.json").json()["info"] == {
        "title": "Forebay hub",
        "version": "0.1.0",
        "description": client.get("/openapi.json").json()["info"]["description"],
    }
    assert client.get("/docs").status_code == 200


def _filled(path: str) -> str:
    known = {
        "number": "1",
        "project": "default",
        "model": "digits",
        "alias": "champion",
        "name": "node-1",
        "version": "1",
    }
    known["number"] = "1"
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def _bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "requestBody" in operation:
        yield "request", operation["requestBody"]["content"]
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield status, response.get("content", {})


def _examples(document: dict[str, Any], media: dict[str, Any]) -> list[Any]:
    """The examples of a body: its own, its schema's, or one made of those of the schema's fields."""
    if "example" in media:
        return [media["example"]]
    return _schema_examples(document, media.get("schema", {}))


def _schema_examples(document: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    if "$ref" in schema:
        return _schema_examples(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if "examples" in schema:
        return list(schema["examples"])
    if "anyOf" in schema:
        return [example for choice in schema["anyOf"] for example in _schema_examples(document, choice)]
    if "properties" not in schema:
        return [True] if schema.get("type") == "boolean" else _one_item(document, schema)
    fields = {name: _schema_examples(document, field) for name, field in schema["properties"].items()}
    complete = all(fields[name] for name in schema.get("required", []))
    return [{name: found[0] for name, found in fields.items() if found}] if complete else []


def _one_item(document: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    inner = _schema_examples(document, schema["items"]) if "items" in schema else []
    return [inner[:1]] if inner else []
