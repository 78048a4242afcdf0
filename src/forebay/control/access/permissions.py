"""Which role may do what: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from forebay.core import Permission


class Role(StrEnum):
    """What a key is for."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    CODER = "coder"
    PUBLISHER = "publisher"
    INFERENCE = "inference"
    NODE = "node"


_DEVELOPS = frozenset(
    {
        Permission.PREDICT,
        Permission.OBSERVE,
        Permission.READ,
        Permission.PUBLISH,
        Permission.DEPLOY,
        Permission.KEYS,
        Permission.USAGE,
    }
)

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.DEVELOPER: _DEVELOPS,
    Role.CODER: _DEVELOPS | {Permission.CODE},
    Role.PUBLISHER: frozenset({Permission.READ, Permission.PUBLISH}),
    Role.INFERENCE: frozenset({Permission.PREDICT}),
    Role.NODE: frozenset({Permission.NODE, Permission.OBSERVE}),
}
"""`Permission.PROJECTS` is what lets a key act in every project; only administrators have it.

`Permission.CODE` lets a key publish Python that nodes will run; a node runs it only where it may.
`Permission.OVERRIDE` lets it pass by what a model keeps, and change that; `Permission.AUDIT` lets it read
who did what; `Permission.BILLING` lets it set prices, write invoices and bound what is spent."""


def permissions_of(role: str) -> frozenset[Permission]:
    """What a key of *role* may do; nothing at all for a role of a later release.

    >>> sorted(permissions_of("node"))
    [<Permission.NODE: 'node'>, <Permission.OBSERVE: 'observe'>]
    """
    return PERMISSIONS[Role(role)] if role in PERMISSIONS else frozenset()
