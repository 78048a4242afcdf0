"""Models, versions and aliases."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse

from forebay.control.hub.bodies.registry import (
    AliasAnswer,
    AliasList,
    AliasMove,
    ModelAnswer,
    ModelList,
    VersionAnswer,
    VersionList,
)
from forebay.control.hub.guard import gate_for, in_project, overriding
from forebay.control.hub.problems import problems
from forebay.control.hub.routes.blobs import BYTES_ANSWER, streamed
from forebay.control.hub.services import Hub
from forebay.core import ModelRef, Permission, Principal
from forebay.core.errors import NotFound

router = APIRouter(prefix="/api/v1/projects/{project}/models", tags=["models"])

_READS = [Depends(in_project(Permission.READ))]
_PUBLISHES = [Depends(in_project(Permission.PUBLISH))]
Publisher = Annotated[Principal, Depends(in_project(Permission.PUBLISH))]
Reason = Annotated[str | None, Query(description="Why a protection is passed by; needs `override`.")]
Number = Annotated[int, Path(ge=1)]
Which = Annotated[str, Path(description="A number, `latest`, or an alias.", examples=["1"])]


@router.get("", dependencies=_READS)
def list_models(project: str, hub: Hub) -> ModelList:
    """The models of a project, by name."""
    return ModelList.model_validate({"items": hub.registry.models(project)})


@router.get("/{model}", dependencies=_READS)
def get_model(project: str, model: str, hub: Hub) -> ModelAnswer:
    """One model, its newest version and its aliases."""
    return ModelAnswer.model_validate(hub.registry.model(project, model))


@router.get("/{model}/versions", dependencies=_READS)
def list_versions(project: str, model: str, hub: Hub) -> VersionList:
    """The versions of a model, oldest first, retired ones too."""
    return VersionList(items=[VersionAnswer.of(found) for found in hub.registry.versions(project, model)])


@router.get("/{model}/versions/{version}", dependencies=_READS)
def get_version(project: str, model: str, version: Which, hub: Hub) -> VersionAnswer:
    """One version with its signature, card, lineage, evidence and files."""
    return VersionAnswer.of(hub.registry.version(project, _ref(model, version)))


@router.get(
    "/{model}/versions/{version}/files/{path:path}",
    dependencies=_READS,
    responses=BYTES_ANSWER,
    response_class=StreamingResponse,
)
def get_file(project: str, model: str, version: Which, path: str, hub: Hub) -> StreamingResponse:
    """The bytes of one file of a version."""
    found = hub.registry.version(project, _ref(model, version))
    for entry in found.manifest.files:
        if entry.path == path:
            return streamed(hub, entry.sha256, entry.size_bytes, PurePosixPath(path).name)
    names = ", ".join(entry.path for entry in found.manifest.files)
    raise NotFound(f"version {found.version} of {model!r} has no file {path!r}; it has {names}")


@router.delete(
    "/{model}/versions/{version}",
    status_code=HTTPStatus.NO_CONTENT,
    dependencies=_PUBLISHES,
    responses=problems(409),
)
def retire_version(project: str, model: str, version: Number, hub: Hub) -> None:
    """Retire a version that nothing uses: it answers no more, and its files may be collected."""
    hub.registry.retire(project, model, version)


@router.get("/{model}/aliases", dependencies=_READS)
def list_aliases(project: str, model: str, hub: Hub) -> AliasList:
    """The aliases of a model, by name."""
    return AliasList.model_validate({"items": hub.registry.aliases(project, model)})


@router.put("/{model}/aliases/{alias}", responses=problems(409))
def set_alias(project: str, model: str, alias: str, body: AliasMove, who: Publisher, hub: Hub) -> AliasAnswer:
    """Let an alias name a version from now on; deployments that name the alias follow it at once.

    A protected alias, and one that a deployment follows, refuses a version that does not prove what the
    model keeps.
    """
    gate = gate_for(hub, who, body.override)
    moved = hub.registry.set_alias(project, model, alias, body.version, protected=body.protected, gate=gate)
    return AliasAnswer.model_validate(moved)


@router.delete(
    "/{model}/aliases/{alias}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(409),
)
def remove_alias(
    project: str, model: str, alias: str, who: Publisher, hub: Hub, override: Reason = None
) -> None:
    """Forget an alias that no deployment follows, and that is not protected."""
    hub.registry.remove_alias(project, model, alias, override=overriding(who, override))


def _ref(model: str, version: str) -> ModelRef:
    """What the last part of a path means.

    >>> str(_ref("digits", "3")), str(_ref("digits", "champion")), str(_ref("digits", "latest"))
    ('digits:3', 'digits@champion', 'digits')
    """
    if version == "latest":
        return ModelRef.parse(model)
    return ModelRef.parse(f"{model}:{version}" if version.isdigit() else f"{model}@{version}")
