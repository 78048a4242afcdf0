"""Who may do what, and who did what: projects, roles, keys and the audit.

The room promises that nobody is let in without a live key, that a key never acts outside its project
(an administrator's acts in all), that only digests of keys are stored, and that a revoked key is out of
the snapshot in the same transaction.
"""

from forebay.control.access.access import DEFAULT_PROJECT, Access, no_project
from forebay.control.access.audit import Audit, AuditEntry, AuditVerification
from forebay.control.access.handing import check_handing_on, check_power
from forebay.control.access.permissions import PERMISSIONS, Role, permissions_of
from forebay.control.access.records import KeyRecord, ProjectRecord
from forebay.control.access.scope import KeyScope

__all__ = [
    "DEFAULT_PROJECT",
    "PERMISSIONS",
    "Access",
    "Audit",
    "AuditEntry",
    "AuditVerification",
    "KeyRecord",
    "KeyScope",
    "ProjectRecord",
    "Role",
    "check_handing_on",
    "check_power",
    "no_project",
    "permissions_of",
]
