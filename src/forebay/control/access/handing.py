"""Nobody hands on more than they have."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from forebay.control.access.scope import KeyScope
from forebay.core import Bounds, Principal
from forebay.core.bounds import covers, network_of
from forebay.core.errors import Forbidden


def check_power(who: Principal, role: str, scope: KeyScope) -> None:
    """Raise `Forbidden` unless *who* may do all that a key of *role* within *scope* may.

    Asked before a key is revoked too, so that nobody takes away what they could not give.
    """
    more = scope.permissions(role) - who.permissions
    if more:
        raise Forbidden(f"a key of the role {role} may {_words(more)}, and yours may not; use the admin key")
    mine = None if who.bounds is None else who.bounds.models
    if mine is not None and not all(covers(mine, model) for model in scope.models or ("*",)):
        raise Forbidden(f"your key is for the models {_words(mine)} only; name some of them as `models`")


def check_handing_on(who: Principal, role: str, scope: KeyScope, expires_at: datetime | None) -> None:
    """Raise `Forbidden` unless *who* may make a key of *role* within *scope* that lasts so long."""
    check_power(who, role, scope)
    mine = who.bounds or Bounds()
    if mine.protocols is not None and not set(scope.protocols or ("",)) <= set(mine.protocols):
        raise Forbidden(
            f"your key is for the protocols {_words(mine.protocols)}; name some of them as `protocols`"
        )
    if mine.networks is not None and not all(
        _inside(each, mine.networks) for each in scope.networks or ("",)
    ):
        raise Forbidden(
            f"your key is for the networks {_words(mine.networks)}; name parts of them as `networks`"
        )
    if mine.until_s is not None and (expires_at is None or expires_at.timestamp() > mine.until_s):
        raise Forbidden("your own key ends before this one would; name an `expires_at` that is not later")


def _inside(network: str, networks: tuple[str, ...]) -> bool:
    if not network:
        return False
    found = network_of(network)
    return any(
        found.version == wide.version and found.subnet_of(wide)  # type: ignore[arg-type]  # of one version
        for wide in map(network_of, networks)
    )


def _words(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
