"""What narrows a key beside its role: as it is asked for, checked, kept, and handed to the nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import datetime

import msgspec

from forebay.control.access.permissions import permissions_of
from forebay.core import PROTOCOLS, Bounds, Permission
from forebay.core.bounds import network_of
from forebay.core.errors import Malformed

_PATTERN = re.compile(r"[a-z0-9*][a-z0-9._*-]{0,62}")
_MOST = 200


class KeyScope(msgspec.Struct, frozen=True, omit_defaults=True):
    """None leaves a thing as the role has it.

    `models` are names, or patterns such as `shop-*`; `actions` some of the role's permissions; `protocols`
    some of `core.PROTOCOLS`; `networks` CIDR ranges.
    """

    models: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None

    def permissions(self, role: str) -> frozenset[Permission]:
        """What a key of *role* may do within this scope."""
        given = permissions_of(role)
        return given if self.actions is None else given & frozenset(self.actions)

    def bounds(self, until: datetime | None) -> Bounds | None:
        """What a node has to ask of each call, if there is anything."""
        until_s = None if until is None else until.timestamp()
        found = Bounds(self.models, self.protocols, self.networks, until_s)
        return None if found == Bounds() else found


def checked_scope(scope: KeyScope, role: str) -> KeyScope:
    """*scope* in one order and form; raises `Malformed` for what cannot be, or could do nothing."""
    return KeyScope(
        models=_listed("models", scope.models, _model),
        actions=_listed("actions", scope.actions, lambda action: _action(action, role)),
        protocols=_listed("protocols", scope.protocols, _protocol),
        networks=_listed("networks", scope.networks, _network),
    )


def _listed(
    what: str, given: Collection[str] | None, checked: Callable[[str], str]
) -> tuple[str, ...] | None:
    if given is None:
        return None
    if not given:
        raise Malformed(
            f"`{what}` is empty, and such a key could do nothing; leave it out to allow all {what}"
        )
    if len(given) > _MOST:
        raise Malformed(f"`{what}` has {len(given)} entries; a key has at most {_MOST}")
    return tuple(sorted({checked(each) for each in given}))


def _model(name: str) -> str:
    if not _PATTERN.fullmatch(name):
        raise Malformed(
            f"{name[:80]!r} is no model name and no pattern: use a-z, 0-9, '.', '_', '-', '*' for any rest"
        )
    return name


def _action(action: str, role: str) -> str:
    allowed = permissions_of(role)
    if action not in allowed:
        raise Malformed(f"a key of the role {role} has no action {action[:80]!r}; it has {_words(allowed)}")
    return action


def _protocol(protocol: str) -> str:
    if protocol not in PROTOCOLS:
        raise Malformed(f"there is no protocol {protocol[:80]!r}; there are {_words(PROTOCOLS)}")
    return protocol


def _network(network: str) -> str:
    try:
        return str(network_of(network))
    except ValueError:
        raise Malformed(
            f"{network[:80]!r} is no network; write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"
        ) from None


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
