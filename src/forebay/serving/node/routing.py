"""From a model name to the lane that answers: deployments, versions, weights."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from forebay.core import DataType
from forebay.core.errors import Malformed, NotFound, NotReady
from forebay.serving.engine import Artifact, BatchLimits, Resident

_LONGEST_VERSION = 19
_NONE: Mapping[str, int] = MappingProxyType({})


class Served(Resident):
    """One version that answers; `bf16_in` and `bf16_out` name its BF16 tensors, which NumPy cannot tell."""

    __slots__ = ("bf16_in", "bf16_out", "info", "model", "version")

    def __init__(
        self,
        model: str,
        version: int,
        artifact: Artifact,
        limits: BatchLimits,
        fetch: Callable[[], Awaitable[Path]],
    ) -> None:
        super().__init__(f"{model}:{version}", artifact, limits, fetch)
        self.model = model
        self.version = version
        self.info = artifact.info
        inputs, outputs = (
            [spec.name for spec in specs if spec.datatype is DataType.BF16]
            for specs in (self.info.signature.inputs, self.info.signature.outputs)
        )
        self.bf16_in, self.bf16_out = frozenset(inputs), tuple(outputs)

    def check_bf16(self, said: tuple[str, ...]) -> None:
        """Raise `Malformed` when the inputs that came as BF16 are not those that the model takes so."""
        for name in self.bf16_in.symmetric_difference(said):
            takes = "takes BF16" if name in self.bf16_in else "does not take BF16"
            raise Malformed(f"input {name!r} {takes}; GET /v2/models/{self.model} says what it takes")


class Route:
    """The versions behind one deployment, and whose turn it is.

    Smooth weighted round robin (nginx, Igor Sysoev 2012): in each round of Σ weights calls every
    version gets exactly its weight, spread as evenly as can be.
    """

    def __init__(self, served: Sequence[tuple[Served, int]], aliases: Mapping[str, int] = _NONE) -> None:
        self.aliases = aliases
        self.served = tuple(version for version, _ in served)
        self.by_version = {version.version: version for version in self.served}
        self._weights = [weight for _, weight in served]
        self._credit = [0] * len(self.served)
        self._total = sum(self._weights)

    def named(self, version: str) -> Served | None:
        """The version that a number or an alias means."""
        if version.isascii() and version.isdigit():
            return self.by_version.get(int(version)) if len(version) < _LONGEST_VERSION else None
        return self.by_version.get(self.aliases.get(version, 0))

    def choose(self) -> Served:
        """The version for the next call."""
        if len(self.served) == 1:
            return self.served[0]
        for i, weight in enumerate(self._weights):
            self._credit[i] += weight
        best = max(range(len(self._credit)), key=self._credit.__getitem__)
        self._credit[best] -= self._total
        return self.served[best]


class Routing:
    """What every deployed name of every project means now. `None` is one that is still being fetched."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Route | None] = {}
        self._trouble: dict[tuple[str, str], str] = {}

    def find(self, project: str, model: str, version: str | None = None) -> Served:
        """Who answers *model*; raises `NotFound`, or `NotReady` while it loads."""
        route = self._routes.get((project, model), _ABSENT)
        if route is _ABSENT:
            raise NotFound(self._unknown(project, model))
        if route is None:
            raise NotReady(self._trouble.get((project, model), _FETCHING), retry_after_s=1.0)
        assert isinstance(route, Route)
        if version is None:
            return route.choose()
        served = route.named(version)
        if served is None:
            raise NotFound(
                f"Request for unknown model: '{model}' version {version[:64]} is not deployed; "
                f"deployed are {sorted(route.by_version)}"
            )
        return served

    def set(self, project: str, model: str, route: Route | None) -> None:
        """Swap what *model* means, between two requests."""
        self._routes[project, model] = route
        self._trouble.pop((project, model), None)

    def explain(self, project: str, model: str, trouble: str) -> None:
        """Why there is no route yet, for those who ask."""
        self._trouble[project, model] = f"the model cannot be served yet: {trouble}"

    def drop(self, project: str, model: str) -> None:
        """The name means nothing any more."""
        self._routes.pop((project, model), None)
        self._trouble.pop((project, model), None)

    def get(self, project: str, model: str) -> Route | None:
        """The route of *model*, if it is loaded."""
        return self._routes.get((project, model))

    def all(self) -> Mapping[tuple[str, str], Route | None]:
        """Every deployed name."""
        return self._routes

    def _unknown(self, project: str, model: str) -> str:
        names = [name for owner, name in self._routes if owner == project]
        near = difflib.get_close_matches(model, names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; `forebay deploy` puts one here"
        return f"Request for unknown model: '{model}' is not found{hint}"


_ABSENT: object = object()
_FETCHING = "the model is being fetched; try again"
