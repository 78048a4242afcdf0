"""The eleven commonest mistakes: each is looked for, and each comes with how to mend it.

A check looks and never changes anything. It says `ok`, `warn` (nothing is broken yet) or `fail`.
"""

from forebay.app.doctor.asking import check_clock, check_hub, check_key, check_nodes
from forebay.app.doctor.findings import Finding, Patient, State
from forebay.app.doctor.here import check_disk, check_extras, check_permissions, check_ports
from forebay.app.doctor.promised import check_promises
from forebay.app.doctor.stored import check_artifacts, check_database
from forebay.app.settings import Settings
from forebay.core.errors import ForebayError

__all__ = ["CHECKS", "Finding", "State", "examine"]

CHECKS = {
    "port": check_ports,
    "disk": check_disk,
    "permissions": check_permissions,
    "clock": check_clock,
    "extras": check_extras,
    "database": check_database,
    "hub": check_hub,
    "key": check_key,
    "nodes": check_nodes,
    "artifacts": check_artifacts,
    "promises": check_promises,
}


def examine(settings: Settings) -> dict[str, Finding]:
    """What each check finds about the Forebay of *settings*, by the name of the check."""
    patient = Patient(settings)
    found = {}
    for name, check in CHECKS.items():
        try:
            found[name] = check(patient)
        except (ForebayError, OSError) as error:
            found[name] = Finding.fail(f"could not be checked: {error}", "mend what it says, then ask again")
    return found
