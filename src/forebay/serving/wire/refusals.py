"""Errors in the words of each family of protocols that has no file of its own for them."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from forebay.core.errors import ForebayError, message_for

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_exceeded"}
_MLFLOW_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_AWS_NAMES = {
    401: (403, "UnrecognizedClientException"),
    403: (403, "AccessDeniedException"),
    429: (429, "ThrottlingException"),
    500: (424, "ModelError"),
    502: (424, "ModelError"),
    503: (503, "ServiceUnavailable"),
    504: (424, "ModelError"),
}
_OPENAI_CODES = {401: "invalid_api_key", 404: "model_not_found"}


def said(error: ForebayError) -> str:
    """What the caller may read, as text that UTF-8 can hold."""
    return message_for(error).encode(errors="replace").decode()


def openai_error(error: ForebayError) -> bytes:
    """*error* as OpenAI's clients read it."""
    kind = _OPENAI_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    code = _OPENAI_CODES.get(error.status)
    return orjson.dumps({"error": {"message": said(error), "type": kind, "param": None, "code": code}})


def mlflow_error(error: ForebayError) -> bytes:
    """*error* as MLflow's scoring server says it."""
    other = "INTERNAL_ERROR" if error.status >= 500 else "BAD_REQUEST"
    return orjson.dumps({"error_code": _MLFLOW_CODES.get(error.status, other), "message": said(error)})


class AwsError(NamedTuple):
    """An error of SageMaker's runtime: boto3 makes an exception of the class `name`."""

    status: int
    name: str
    body: bytes


def sagemaker_error(error: ForebayError) -> AwsError:
    """*error* as SageMaker's runtime says it."""
    other = (500, "InternalFailure") if error.status >= 500 else (400, "ValidationError")
    status, name = _AWS_NAMES.get(error.status, other)
    body: dict[str, str | int] = {"Message": said(error)}
    if name == "ModelError":
        body |= {"OriginalStatusCode": error.status, "OriginalMessage": said(error)}
    return AwsError(status, name, orjson.dumps(body))
