"""Deployments."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response

from forebay.control.deploy import DeploymentRecord, node_states
from forebay.control.hub.bodies.deployments import DeploymentAnswer, DeploymentBody, DeploymentList
from forebay.control.hub.guard import gate_for, in_project
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Hub
from forebay.control.registry import Gate
from forebay.core import Permission, Principal
from forebay.core.errors import Malformed

router = APIRouter(prefix="/api/v1/projects/{project}/deployments", tags=["deployments"])

_READS = [Depends(in_project(Permission.READ))]
_DEPLOYS = [Depends(in_project(Permission.DEPLOY))]
Deployer = Annotated[Principal, Depends(in_project(Permission.DEPLOY))]
IfMatch = Annotated[
    str | None,
    Header(description="The `ETag` of the deployment that is to be changed; another revision is a 409."),
]


@router.get("", dependencies=_READS)
def list_deployments(project: str, hub: Hub) -> DeploymentList:
    """What every model of a project answers with, by model."""
    return DeploymentList(items=_answers(hub, *hub.deployments.list(project)))


@router.put("/{model}", responses=problems(409))
def put_deployment(
    project: str,
    model: str,
    response: Response,
    who: Deployer,
    hub: Hub,
    body: DeploymentBody | None = None,
    if_match: IfMatch = None,
) -> DeploymentAnswer:
    """Let a model answer with these versions from now on; without targets, with its newest.

    The nodes hear of it at once and follow without failing a request. A version that does not prove what
    the model keeps is refused.
    """
    body = body or DeploymentBody()
    record = hub.deployments.put(
        project,
        model,
        [target.wish() for target in body.targets],
        body.limits.limits(),
        pin=body.pin,
        revision=_revision(if_match, body.revision),
        gate=gate_for(hub, who, body.override),
    )
    return _answer(hub, record, response)


@router.get("/{model}", dependencies=_READS)
def get_deployment(project: str, model: str, response: Response, hub: Hub) -> DeploymentAnswer:
    """What a model answers with, and how far every node that is alive is with that."""
    return _answer(hub, hub.deployments.get(project, model), response)


@router.delete("/{model}", status_code=HTTPStatus.NO_CONTENT, dependencies=_DEPLOYS, responses=problems(409))
def delete_deployment(project: str, model: str, hub: Hub, if_match: IfMatch = None) -> None:
    """Let a model answer no more; its versions stay."""
    hub.deployments.delete(project, model, revision=_revision(if_match, None))


def _answer(hub: Hub, record: DeploymentRecord, response: Response) -> DeploymentAnswer:
    response.headers["ETag"] = f'"{record.revision}"'
    return _answers(hub, record)[0]


def _answers(hub: Hub, *records: DeploymentRecord) -> list[DeploymentAnswer]:
    states = node_states(records, hub.nodes.alive())
    notes = _notes(hub, records)
    return [
        DeploymentAnswer.of(record, found, notes.get(record.model, ()))
        for record, found in zip(records, states, strict=True)
    ]


def _notes(hub: Hub, records: Sequence[DeploymentRecord]) -> dict[str, tuple[str, ...]]:
    """What does not prove what its model keeps and goes on all the same; *records* are of one project."""
    served = {record.model: sorted({target.version for target in record.targets}) for record in records}
    return hub.keeps.notes(records[0].project, served, Gate(hub.nodes.machines())) if records else {}


def _revision(if_match: str | None, named: int | None) -> int | None:
    """The revision that the caller has seen, by header or by field.

    >>> _revision('"17"', None), _revision(None, 17), _revision("*", None)
    (17, 17, None)
    """
    if if_match is None or if_match == "*":
        return named
    text = if_match.removeprefix("W/").strip('"')
    if not text.isdigit() or (named is not None and named != int(text)):
        raise Malformed(f"If-Match is {if_match!r}; send the ETag of the deployment, and no other `revision`")
    return int(text)
