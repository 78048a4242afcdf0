"""The examples in the documentation are bodies that the hub takes and gives."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from forebay.control.hub import bodies
from forebay.control.hub.bodies.nodes import REPORT
from forebay.core import NodeReport


def models() -> Iterator[type[BaseModel]]:
    for module in pkgutil.iter_modules(bodies.__path__, f"{bodies.__name__}."):
        for found in vars(importlib.import_module(module.name)).values():
            if isinstance(found, type) and issubclass(found, BaseModel) and found.__module__ == module.name:
                yield found


EXAMPLES = [
    pytest.param(model, example, id=model.__name__)
    for model in models()
    for example in model.model_json_schema(mode="serialization").get("examples", [])
]


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_an_example_is_a_whole_body_of_its_kind(model: type[BaseModel], example: Any) -> None:
    read = model.model_validate_json(msgspec.json.encode(example))
    assert set(example) <= set(type(read).model_fields)
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    assert required <= set(example)


def test_the_example_of_a_report_is_one() -> None:
    found = msgspec.json.decode(msgspec.json.encode(REPORT), type=NodeReport)
    assert msgspec.json.decode(msgspec.json.encode(found)) == REPORT
