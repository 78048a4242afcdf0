"""Nobody hands on more than they have."""

from __future__ import annotations

from collections.abc import Collection

from forebay.control.access.permissions import permissions_of
from forebay.core import Principal
from forebay.core.errors import Forbidden


def check_handing_on(who: Principal, role: str, models: Collection[str] | None) -> None:
    """Raise `Forbidden` unless *who* has all that a key of *role* for *models* would have.

    Asked before a key is made and before one is revoked, so that nobody gets more than they were given,
    and nobody takes away what they could not give.
    """
    more = permissions_of(role) - who.permissions
    if more:
        raise Forbidden(f"a key of the role {role} may {_listed(more)}, and yours may not; use the admin key")
    if who.models is not None and (models is None or not who.models.issuperset(models)):
        raise Forbidden(
            f"your key is for the models {_listed(who.models)} only; name some of them as `models`"
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
