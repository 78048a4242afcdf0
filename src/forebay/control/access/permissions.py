"""Which role may do what: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from forebay.core import Permission


class Role(StrEnum):
    """What somebody is in a project, or what a key is for. An `operator` runs the whole place."""

    OPERATOR = "operator"
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    CODER = "coder"
    PUBLISHER = "publisher"
    VIEWER = "viewer"
    BILLING = "billing"
    INFERENCE = "inference"
    OBSERVER = "observer"
    NODE = "node"


_VIEWS = frozenset({Permission.READ, Permission.USAGE})
_DEVELOPS = _VIEWS | {Permission.PREDICT, Permission.PUBLISH, Permission.DEPLOY, Permission.KEYS}
_ADMINISTERS = _DEVELOPS | {Permission.OVERRIDE, Permission.AUDIT, Permission.LIMITS}

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset(Permission),
    Role.OWNER: _ADMINISTERS | {Permission.OWN},
    Role.ADMIN: _ADMINISTERS,
    Role.DEVELOPER: _DEVELOPS,
    Role.CODER: _DEVELOPS | {Permission.CODE},
    Role.PUBLISHER: frozenset({Permission.READ, Permission.PUBLISH}),
    Role.VIEWER: _VIEWS,
    Role.BILLING: frozenset({Permission.USAGE}),
    Role.INFERENCE: frozenset({Permission.PREDICT}),
    Role.OBSERVER: frozenset({Permission.OBSERVE}),
    Role.NODE: frozenset({Permission.NODE, Permission.OBSERVE}),
}
"""Nobody hands on more than they have, so that no role makes, rotates or ends a key of a stronger one.

`Permission.PROJECTS` lets a key act in every project, `Permission.OBSERVE` read the metrics, which tell of
all projects: neither is a project's to give. `Permission.OWN` is what an owner has and an administrator has
not: only owners make and end the keys of owners. `Permission.CODE` lets a key publish Python that nodes will
run; a node runs it only where it may. `Permission.OVERRIDE` lets it pass by what a model keeps, and change
that; `Permission.AUDIT` lets it read who did what in its project; `Permission.LIMITS` lets it say what the
project's calls may take; `Permission.BILLING` lets it set prices and write invoices, and limits that are not
the project's to change."""


def permissions_of(role: str) -> frozenset[Permission]:
    """What a key of *role* may do; nothing at all for a role of a later release.

    >>> sorted(permissions_of("node"))
    [<Permission.NODE: 'node'>, <Permission.OBSERVE: 'observe'>]
    """
    return PERMISSIONS[Role(role)] if role in PERMISSIONS else frozenset()
