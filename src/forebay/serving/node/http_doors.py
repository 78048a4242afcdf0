"""Every way into a node over HTTP, and what is said where there is none."""

from __future__ import annotations

from forebay.core.errors import ForebayError
from forebay.serving.node.answers import DOORS as OIP_DOORS
from forebay.serving.node.answers import oip_error, plain_error
from forebay.serving.node.doors import Door, Refusal
from forebay.serving.node.invocation_doors import INVOCATION_DOORS, mlflow_error, sagemaker_error
from forebay.serving.node.tfs_doors import TFS_DOORS
from forebay.serving.wire import refusals

HTTP_DOORS = (*OIP_DOORS, *TFS_DOORS, *INVOCATION_DOORS)
"""A path that is not in one of these tables does not exist."""


def _openai_error(error: ForebayError) -> Refusal:
    return Refusal(error.status, refusals.openai_error(error))


_FAMILIES = (
    (b"/v2/", oip_error),
    (b"/v1/models/", oip_error),
    (b"/v1/", _openai_error),
    (b"/invocations", mlflow_error),
    (b"/serving-endpoints/", mlflow_error),
    (b"/endpoints/", sagemaker_error),
)
"""Who words an error where there is no door, by the beginning of the path; the first that fits."""


def refusal_for(target: bytes, door: Door | None, error: ForebayError) -> Refusal:
    """*error* in the shape of the door, or of the family of paths where there is no door."""
    if door is not None:
        return door.refuse(error)
    path = target.partition(b"?")[0]
    refuse = next((word for start, word in _FAMILIES if path.startswith(start)), plain_error)
    return refuse(error)
