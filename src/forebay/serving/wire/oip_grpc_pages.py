"""The small messages of gRPC's doors: pages, readiness, health, reflection.

A page is the same plain data that HTTP writes as JSON; `page` makes a message of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from forebay.core.errors import Malformed
from forebay.serving.wire import tfs_grpc
from forebay.serving.wire.oip_grpc import PROTOCOL
from forebay.serving.wire.proto_files import Protocol

_HEALTH = Protocol("health.proto")
_REFLECTIONS = {version: Protocol(f"reflection_{version}.proto") for version in ("v1", "v1alpha")}
SPOKEN = (PROTOCOL, tfs_grpc.PROTOCOL, _HEALTH, *_REFLECTIONS.values())
"""Every protocol that a node speaks over gRPC."""

_NOT_FOUND = 5
_UNIMPLEMENTED = 12


class Asked(NamedTuple):
    """Whom a page is about; a version is None where nobody says."""

    name: str
    version: str | None


def read_asked(kind: str, message: bytes) -> Asked:
    """What a request `<kind>Request` with `name` and `version` asks about; raises `Malformed`."""
    request = _read(PROTOCOL, f"inference.{kind}Request", message)
    return Asked(request.name, request.version or None)


def read_index(message: bytes) -> tuple[str, bool]:
    """Which repository a `RepositoryIndexRequest` names, and whether it wants ready models only."""
    request = _read(PROTOCOL, "inference.RepositoryIndexRequest", message)
    return request.repository_name, request.ready


def page(kind: str, said: dict[str, Any]) -> bytes:
    """The message `<kind>Response` that says *said*."""
    message = PROTOCOL.message(f"inference.{kind}Response")()
    return bytes(ParseDict(said, message, ignore_unknown_fields=True).SerializeToString())


def read_health(message: bytes) -> str:
    """Whose health is asked for; empty for the whole server's."""
    return str(_read(_HEALTH, "grpc.health.v1.HealthCheckRequest", message).service)


def health(serving: bool) -> bytes:
    """A `HealthCheckResponse`."""
    status = "SERVING" if serving else "NOT_SERVING"
    message = _HEALTH.message("grpc.health.v1.HealthCheckResponse")()
    return bytes(ParseDict({"status": status}, message).SerializeToString())


def reflect(version: str, message: bytes) -> bytes:
    """The answer to one request of reflection `v1` or `v1alpha`; raises `Malformed`."""
    package = f"grpc.reflection.{version}"
    protocol = _REFLECTIONS[version]
    request = _read(protocol, f"{package}.ServerReflectionRequest", message)
    answer = protocol.message(f"{package}.ServerReflectionResponse")(
        valid_host=request.host, original_request=request
    )
    kind = request.WhichOneof("message_request")
    if kind == "list_services":
        for spoken in SPOKEN:
            for name in spoken.services:
                answer.list_services_response.service.add(name=name)
    elif kind in ("file_by_filename", "file_containing_symbol"):
        wanted = getattr(request, kind)
        file = next((found for each in SPOKEN if (found := each.file_of(wanted)) is not None), None)
        if file is not None:
            answer.file_descriptor_response.file_descriptor_proto.append(file)
        else:
            answer.error_response.error_code = _NOT_FOUND
            answer.error_response.error_message = f"there is no {wanted!r} here"
    else:
        answer.error_response.error_code = _UNIMPLEMENTED
        answer.error_response.error_message = "nothing here has extensions"
    return bytes(answer.SerializeToString())


def _read(protocol: Protocol, name: str, message: bytes) -> Any:
    try:
        return protocol.message(name).FromString(message)
    except DecodeError:
        raise Malformed(f"the message is no {name}, or it is cut short") from None
