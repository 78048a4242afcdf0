"""The tables of the first release, and the rows that a new database has."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULT_TERMS = {
    "name": "default",
    "currency": "EUR",
    "prices": [
        {"unit": "request", "tiers": [{"price": "0.0001"}]},
        {"unit": "row", "tiers": [{"price": "0.00001"}]},
        {"unit": "compute_second", "tiers": [{"price": "0.0002"}]},
    ],
}
_COUNTS = (
    *("requests", "rows", "request_bytes", "response_bytes", "compute_ns", "cached", "cached_rows"),
    *("input_tokens", "output_tokens", "audio_ms", "energy_uj"),
)


def upgrade() -> None:
    """Make everything."""
    _store()
    _audit()
    _access()
    _registry()
    _deploy()
    _billing()
    _limits()
    _invoices()
    _usage()
    _jobs()


def _store() -> None:
    state = op.create_table(
        "hub_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hub", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hub_state"),
    )
    op.bulk_insert(state, [{"id": 1, "hub": secrets.token_hex(8), "snapshot": 1}])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", _TIME, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("project", "who", "origin", "action")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("subject", "outcome", "detail", "hash")),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    op.create_index("audit_by_project", "audit", ["project", "number"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "number": 0, "hash": "0" * 64}])
    _only_append("audit")


def _only_append(table: str) -> None:
    """Let the database itself refuse to change what was written down."""
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is only appended to'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_only_append() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is only appended to'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_only_append BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_only_append()"
    )


def _access() -> None:
    projects = op.create_table(
        "projects",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_projects"),
    )
    op.bulk_insert(projects, [{"name": "default", "created_at": datetime.now(UTC)}])
    op.create_table(
        "keys",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "name", "role", "project", "scope")),
        sa.Column("created_at", _TIME, nullable=False),
        *(
            sa.Column(name, _TIME, nullable=True)
            for name in ("expires_at", "rotated_at", "used_at", "revoked_at")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_keys_project"),
    )
    op.create_index("ix_keys_project", "keys", ["project"])
    op.create_table(
        "key_secrets",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("digest", "key_id")),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("digest", name="pk_key_secrets"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_secrets_key_id"),
    )
    op.create_index("ix_key_secrets_key_id", "key_secrets", ["key_id"])


def _registry() -> None:
    op.create_table(
        "models",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name="pk_models"),
    )
    op.create_table(
        "versions",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("artifact", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("manifest", "info", "card")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("lineage", "evidence", "job_id")),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("retired_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("project", "model", "version", name="pk_versions"),
        sa.UniqueConstraint("job_id", name="uq_versions_job_id"),
        sa.ForeignKeyConstraint(
            ["project", "model"], ["models.project", "models.name"], name="fk_versions_project_model"
        ),
    )
    op.create_index("ix_versions_artifact", "versions", ["artifact"])
    op.create_table(
        "aliases",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("project", "model", "name", name="pk_aliases"),
        sa.ForeignKeyConstraint(
            ["project", "model", "version"],
            ["versions.project", "versions.model", "versions.version"],
            name="fk_aliases_project_model_version",
        ),
    )
    _keeps()


def _keeps() -> None:
    op.create_table(
        "keeps",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("project", "model", "promises", "data")),
        sa.Column("reference", sa.Integer(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("project", "model", name="pk_keeps"),
        sa.ForeignKeyConstraint(
            ["project", "model", "reference"],
            ["versions.project", "versions.model", "versions.version"],
            name="fk_keeps_project_model_reference",
        ),
    )


def _deploy() -> None:
    op.create_table(
        "deployments",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("limits", sa.Text(), nullable=False),
        sa.Column("pin", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("project", "model", name="pk_deployments"),
        sa.ForeignKeyConstraint(
            ["project", "model"], ["models.project", "models.name"], name="fk_deployments_project_model"
        ),
    )
    op.create_table(
        "deployment_targets",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project", "model", "place", name="pk_deployment_targets"),
        sa.CheckConstraint(
            "(version IS NULL) <> (alias IS NULL)", name=op.f("ck_deployment_targets_named_once")
        ),
        *_target_references(),
    )
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("heard_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_nodes"),
    )


def _target_references() -> list[sa.ForeignKeyConstraint]:
    deployment, version, alias = (
        ["project", "model"],
        ["project", "model", "version"],
        ["project", "model", "alias"],
    )
    name = "fk_deployment_targets_project_model"
    return [
        sa.ForeignKeyConstraint(deployment, ["deployments.project", "deployments.model"], name=name),
        sa.ForeignKeyConstraint(
            version, ["versions.project", "versions.model", "versions.version"], name=f"{name}_version"
        ),
        sa.ForeignKeyConstraint(
            alias, ["aliases.project", "aliases.model", "aliases.name"], name=f"{name}_alias"
        ),
    ]


def _billing() -> None:
    _plans()
    ledger = op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
    )
    op.bulk_insert(ledger, [{"id": 1, "events": 0, "seal": b""}])


def _plans() -> None:
    plans = op.create_table(
        "plans",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holds_from", _TIME, nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_plans"),
    )
    first = {"name": "default", "version": 1, "holds_from": _BEGINNING, "terms": json.dumps(_DEFAULT_TERMS)}
    op.bulk_insert(plans, [{**first, "made_by": "", "made_at": datetime.now(UTC)}])
    op.create_table(
        "plan_uses",
        sa.Column("number", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("project", "plan")),
        sa.Column("holds_from", _TIME, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_plan_uses"),
    )
    op.create_index("ix_plan_uses_project", "plan_uses", ["project"])
    _only_append("plans")
    _only_append("plan_uses")


def _limits() -> None:
    op.create_table(
        "call_limits",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("period_s", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("key_id", "model", "set_by")),
        sa.Column("by_platform", sa.Boolean(), nullable=False),
        sa.Column("set_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_call_limits"),
    )
    op.create_index("ix_call_limits_project", "call_limits", ["project"])
    op.create_table(
        "limit_leases",
        sa.Column("limit_id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("permits", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("limit_id", "holder", name="pk_limit_leases"),
    )


def _invoices() -> None:
    book = op.create_table(
        "invoice_book",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invoice_book"),
    )
    op.bulk_insert(book, [{"id": 1, "last": 0}])
    op.create_table(
        "invoices",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("project", "month")),
        sa.Column("counters", sa.Integer(), nullable=True),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("currency", "lines", "taxes", "net", "total")
        ),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("credit", "sender", "recipient", "reason")),
        *(sa.Column(name, _TIME, nullable=False) for name in ("period_start", "period_end")),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_invoices"),
        sa.UniqueConstraint("counters", name="uq_invoices_counters"),
    )
    op.create_index("ix_invoices_project", "invoices", ["project"])
    op.create_table(
        "invoiced_usage",
        sa.Column("invoice", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("key_id", "project")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint(
            "invoice", "month", "since", "model", "version", "key_id", name="pk_invoiced_usage"
        ),
    )
    op.create_index("invoiced_usage_by_month", "invoiced_usage", ["project", "month"])
    _written_down("credits", "currency", "amount", "reason")
    _written_down("billing_addresses", "address")
    for table in ("invoices", "invoiced_usage", "credits", "billing_addresses"):
        _only_append(table)


def _written_down(table: str, *texts: str) -> None:
    """A numbered table of what somebody said of projects."""
    op.create_table(
        table,
        sa.Column("number", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("project", *texts, "made_by")),
        sa.Column("made_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name=f"pk_{table}"),
    )
    op.create_index(f"ix_{table}_project", table, ["project"])


def _usage() -> None:
    op.create_table(
        "journals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_journals"),
    )
    op.create_table(
        "journal_gaps",
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end_seq", sa.BigInteger(), nullable=False),
        sa.Column("noticed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("journal", "first_seq", name="pk_journal_gaps"),
    )
    op.create_table(
        "usage_blocks",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_usage_blocks"),
        sa.UniqueConstraint("journal", "first_seq", name="uq_usage_blocks_journal_first_seq"),
    )
    op.create_table(
        "usage_places",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("project", "block", "hour", name="pk_usage_places"),
    )
    op.create_index("usage_places_by_hour", "usage_places", ["project", "hour", "block"])
    _totals()


def _totals() -> None:
    texts = ("key_id", "model", "protocol", "operation", "device")
    keys = ("project", "hour", "key_id", "model", "version", "protocol", "operation", "device")
    op.create_table(
        "usage_totals",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint(*keys, name="pk_usage_totals"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("id", "project", "kind", "request", "key_id")
        ),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("home", "state", "step")),
        sa.Column("progress", sa.Double(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("result", "error")),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("last_seq", "attempts")),
        sa.Column("spent_s", sa.Double(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        *(sa.Column(name, _TIME, nullable=True) for name in ("started_at", "finished_at")),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_index("jobs_by_project", "jobs", ["project", "created_at"])
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", _TIME, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "body")),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_events_job_id"),
    )
