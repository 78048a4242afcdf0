"""Errors as problem details (RFC 9457), in every layer of the hub."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from forebay.core.errors import ForebayError, message_for

_log = logging.getLogger("forebay.hub")


def install_problems(app: FastAPI) -> None:
    """Answer every error of *app* as `application/problem+json`."""
    app.add_exception_handler(ForebayError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def problem(
    status: int, code: str, title: str, detail: str, retry_after_s: float | None = None
) -> JSONResponse:
    """One problem. `type` is a URN that never changes; `detail` says what to do."""
    headers = {} if retry_after_s is None else {"Retry-After": str(max(1, round(retry_after_s)))}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="forebay"'
    body = {"type": f"urn:forebay:problem:{code}", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ForebayError)
    return problem(error.status, error.code, error.title, str(error), error.retry_after_s)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = [
        f"{'.'.join(str(part) for part in found['loc'][1:]) or 'body'}: {found['msg']}"
        for found in error.errors()
    ]
    return problem(400, "malformed", "Malformed request", "; ".join(places))


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    code = title.lower().replace(" ", "-")
    detail = str(error.detail) if error.detail != title else f"{title}; GET /openapi.json lists what there is"
    return problem(error.status_code, code, title, detail)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "internal-error", "Internal error", message_for(error))
