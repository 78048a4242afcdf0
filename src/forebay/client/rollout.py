"""Deployments: asking for one, and waiting until it answers everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from forebay.client.door import AT_ONCE, Door
from forebay.client.progress import Progress
from forebay.client.results import Deployment, Items, NodeVersion, Version
from forebay.client.shown import Listing
from forebay.core import ModelRef
from forebay.core.errors import Broken, Late, Malformed, NotReady

WhichVersion: TypeAlias = "Version | int | str | None"
_GRACE_S = 3.0


class Rollouts:
    """The deployments of one project."""

    def __init__(self, door: Door, project: str) -> None:
        self._door = door
        self._address = f"/api/v1/projects/{project}/deployments"

    def all(self) -> Listing[Deployment]:
        """What every deployed name answers with."""
        return Listing(self._door.ask("GET", self._address, Items[Deployment]).items)

    def get(self, model: str) -> Deployment:
        """One deployment, and how far each node is with it; raises `NotFound`."""
        return self._door.ask("GET", f"{self._address}/{model}", Deployment)

    def put(self, model: str, body: dict[str, Any], revision: int | None) -> Deployment:
        """Ask for it; the nodes hear of it at once and follow as fast as they load."""
        address = f"{self._address}/{model}"
        if revision is None:
            return self._door.ask("PUT", address, Deployment, json=body)
        numbered = body | {"revision": revision}  # a second try of this one would refuse itself
        return self._door.ask("PUT", address, Deployment, json=numbered, patience=AT_ONCE)

    def delete(self, model: str) -> None:
        """Answer nothing under this name any more."""
        self._door.send("DELETE", f"{self._address}/{model}")

    def wait(self, model: str, timeout_s: float, progress: Progress) -> Deployment:
        """Until every alive node has answered a prediction with it.

        Raises `Broken` when a node cannot load it, `NotReady` when one is still behind after *timeout_s*.
        """
        started = time.monotonic()
        for pause_s in _pauses():
            passed_s = time.monotonic() - started
            found = self._look(model, bear=passed_s < timeout_s)
            if found is None:
                progress.step("waiting for the hub, which is away")
                continue
            if found.ready:
                return found
            progress.step(f"waiting for {model}: {behind(found)}")
            if passed_s > _GRACE_S and (failed := failures(found)):
                raise Broken(
                    f"{failed}; the deployment of {model} stays as asked for, deploy another version"
                )
            if passed_s > timeout_s:
                raise NotReady(f"{model} is not ready after {timeout_s:g} s: {behind(found)}")
            time.sleep(pause_s)
        raise AssertionError("unreachable: the pauses never end")

    def _look(self, model: str, *, bear: bool) -> Deployment | None:
        """The deployment; None while the hub is away and that is still to be borne."""
        try:
            return self.get(model)
        except (NotReady, Late):
            if not bear:
                raise
            return None


def body_for(
    ref: ModelRef, weights: Mapping[int, int] | None, limits: Mapping[str, Any], *, pin: bool = False
) -> dict[str, Any]:
    """What to ask for: one version, an alias, the latest, or several by weight.

    >>> body_for(ModelRef.parse("digits:3"), None, {})
    {'targets': [{'version': 3, 'weight': 1}]}
    >>> body_for(ModelRef.parse("digits"), {1: 9, 2: 1}, {"batch_rows": None})
    {'targets': [{'version': 1, 'weight': 9}, {'version': 2, 'weight': 1}]}
    """
    body: dict[str, Any] = {"pin": True} if pin else {}
    if weights:
        if ref.version is not None or ref.alias is not None:
            raise Malformed(f"{ref} names one version already; leave it or the weights out")
        body["targets"] = [{"version": version, "weight": weight} for version, weight in weights.items()]
    elif ref.alias is not None:
        body["targets"] = [{"alias": ref.alias, "weight": 1}]
    elif ref.version is not None:
        body["targets"] = [{"version": ref.version, "weight": 1}]
    given = {name: value for name, value in limits.items() if value is not None}
    return body | ({"limits": given} if given else {})


def ref_of(name: str, version: WhichVersion) -> ModelRef:
    """The version that *name* and *version* mean together.

    >>> str(ref_of("digits", 3)), str(ref_of("digits@champion", None)), str(ref_of("digits", "champion"))
    ('digits:3', 'digits@champion', 'digits@champion')
    """
    ref = ModelRef.parse(name)
    if version is None:
        return ref
    if ref.version is not None or ref.alias is not None:
        raise Malformed(f"{name!r} names a version already; leave one of the two out")
    if isinstance(version, Version):
        if version.model != ref.model:
            raise Malformed(f"{version} is no version of {ref.model}")
        return ModelRef(ref.model, version=version.version)
    if isinstance(version, int):
        return ModelRef.parse(f"{ref.model}:{version}")
    return ModelRef.parse(f"{ref.model}@{version.removeprefix('@')}")


def behind(found: Deployment) -> str:
    """Which node lacks what.

    >>> behind(Deployment(project="p", model="digits", targets=[]))
    'no node is alive; `forebay up` or `forebay node` starts one'
    """
    if not found.nodes:
        return "no node is alive; `forebay up` or `forebay node` starts one"
    lines = [f"node {share.node}: {_versions_text(share.versions) or share.state}" for share in found.nodes]
    return "; ".join(lines)


def failures(found: Deployment) -> str:
    """Which node cannot load which version, and why; empty when none has failed."""
    return "; ".join(
        f"node {share.node} cannot load {version.model}:{version.version}: {version.error}"
        for share in found.nodes
        for version in share.versions
        if version.state == "failed"
    )


def _versions_text(versions: list[NodeVersion]) -> str:
    return ", ".join(
        f"version {v.version} is {v.state}{f' ({v.error})' if v.error else ''}" for v in versions
    )


def _pauses() -> Iterator[float]:
    yield from (0.02, 0.03, 0.05, 0.1, 0.1, 0.2)
    while True:
        yield 0.3
