"""What a model keeps: the promise that its protected aliases and its deployment are guarded by."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from forebay.control.hub.bodies.keeping import KeepAnswer, KeepBody
from forebay.control.hub.guard import in_project, overriding
from forebay.control.hub.problems import problems
from forebay.control.hub.promises import promised
from forebay.control.hub.services import Hub
from forebay.control.registry import Gate, KeepRecord
from forebay.core import Permission, Principal
from forebay.core.artifact import checked_digest
from forebay.core.errors import NotFound

router = APIRouter(prefix="/api/v1/projects/{project}/models/{model}/keep", tags=["models"])

Deployer = Annotated[Principal, Depends(in_project(Permission.DEPLOY))]


@router.get("", dependencies=[Depends(in_project(Permission.READ))], responses=problems(404))
def get_keep(project: str, model: str, hub: Hub) -> KeepAnswer:
    """What a model keeps, and what answers already without having proved it."""
    return _answer(hub, hub.keeps.get(project, model))


@router.put("", responses=problems(404, 409))
def put_keep(project: str, model: str, body: KeepBody, who: Deployer, hub: Hub) -> KeepAnswer:
    """Hold every version that is deployed, or that a protected alias is to name, to a promise.

    What answers already goes on, and `notes` says so. Once set, only an override changes it.
    """
    kept = hub.keeps.put(
        project,
        model,
        promised(body.keep),
        who.key_id,
        data=None if body.data is None else checked_digest(body.data),
        reference=body.of,
        override=overriding(who, body.override),
    )
    return _answer(hub, kept)


@router.delete("", status_code=HTTPStatus.NO_CONTENT, responses=problems(404, 409))
def clear_keep(
    project: str,
    model: str,
    who: Annotated[Principal, Depends(in_project(Permission.OVERRIDE))],
    hub: Hub,
    override: Annotated[str, Query(description="Why the model is held to nothing any more.")],
) -> None:
    """Hold a model to nothing any more: what was promised, and why it is no longer, stays in the audit."""
    why = overriding(who, override)
    assert why is not None, "the reason is required"
    hub.keeps.clear(project, model, why)


def _answer(hub: Hub, record: KeepRecord) -> KeepAnswer:
    try:
        deployed = hub.deployments.get(record.project, record.model).targets
    except NotFound:
        deployed = ()
    aliases = {
        alias.version for alias in hub.registry.aliases(record.project, record.model) if alias.protected
    }
    served = {record.model: sorted(aliases | {target.version for target in deployed})}
    notes = hub.keeps.notes(record.project, served, Gate(hub.nodes.machines()))
    return KeepAnswer.of_record(record, notes.get(record.model, ()))
