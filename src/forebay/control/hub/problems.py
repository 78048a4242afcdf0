"""Errors as problem details (RFC 9457), in every layer of the hub, and in its OpenAPI document."""

from __future__ import annotations

import logging
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from forebay.core import errors
from forebay.core.errors import ForebayError, Malformed, Slow, message_for

_log = logging.getLogger("forebay.hub")
_MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong, and in `detail` what to do. `type` is a URN that never changes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:forebay:problem:not-found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "the project 'default' has no model 'digit'; did you mean 'digits'?",
                    "request_id": "6f1c2ab09d3e4f57",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    request_id: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: what it may answer with beside `add_common_problems`."""
    return {status: _documented(_TITLES[status]) for status in statuses}


def add_common_problems(path: str, operation: dict[str, Any]) -> None:
    """Put into one operation of an OpenAPI document the problems that it shares with others of its kind."""
    statuses = [400, 401, 403, 503]
    statuses += [404] if "{" in path else []
    statuses += [408, 413] if "requestBody" in operation else []
    found = operation["responses"]
    found.pop("422", None)  # FastAPI's own answer to a wrong value; ours is a 400
    for status, documented in problems(*statuses).items():
        found.setdefault(str(status), documented)
    found.setdefault("default", _documented("Any other problem"))


def install_problems(app: FastAPI) -> None:
    """Answer every error of *app* as `application/problem+json`; `Border` answers the unforeseen."""
    app.add_exception_handler(ForebayError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)


def problem_for(request: Request, error: BaseException) -> JSONResponse:
    """What the caller is told of *error*; what nobody has foreseen goes to the log as well."""
    if not isinstance(error, ForebayError):
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _problem(request, 500, "internal-error", "Internal error", message_for(error))
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s %s: %s", request.method, request.url.path, error)
    answer = _problem(request, error.status, error.code, error.title, str(error))
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(max(1, ceil(error.retry_after_s)))
    if error.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
        answer.headers["Connection"] = "close"  # the rest of the body is still to come, and nobody reads it
    return answer


def _problem(request: Request, status: int, code: str, title: str, detail: str) -> JSONResponse:
    body = Problem(
        type=f"urn:forebay:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        request_id=getattr(request.state, "request_id", ""),
    )
    headers = {"WWW-Authenticate": 'Bearer realm="forebay"'} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body.model_dump(), status, headers, media_type=_MEDIA_TYPE)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    return problem_for(request, error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = [f"{_place(found['loc'])}: {found['msg']}" for found in error.errors()]
    return problem_for(request, Malformed("; ".join(places)))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ForebayError):
        return problem_for(request, error.__cause__)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # what FastAPI says of a body that breaks its parser
        return problem_for(request, Malformed("the body cannot be read; send JSON in UTF-8"))
    title = HTTPStatus(error.status_code).phrase
    detail = str(error.detail) if error.detail != title else f"{title}; GET /openapi.json lists what there is"
    answer = _problem(request, error.status_code, title.lower().replace(" ", "-"), title, detail)
    answer.headers.update(error.headers or {})
    return answer


async def _gone(request: Request, _error: Exception) -> JSONResponse:
    return problem_for(request, Slow("the connection broke off before the body had arrived"))


def _place(where: tuple[int | str, ...]) -> str:
    """Where in a request something is wrong.

    >>> _place(("body", "targets", 0, "weight"))
    'targets.0.weight'
    """
    return ".".join(str(part) for part in where[1:]) or "body"


def _documented(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {_MEDIA_TYPE: {"schema": schema}}}


def _titles() -> dict[int, str]:
    """Each status with the title of the first error that has it."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ForebayError)
    ]
    return {kind.status: kind.title for kind in reversed(kinds)}


_TITLES = _titles()
