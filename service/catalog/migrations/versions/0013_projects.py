"""Every object belongs to a project: what there is, to `default`; the built-in corpora to all."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_OTHERS = ("jobs", "activations", "radius_reports", "energy_reports", "profiles", "training_runs", "sweeps")
_STATES = "state IN ('scanning', 'ready', 'failed')"


def upgrade() -> None:
    # SQLite cannot drop a constraint, so it gets a new table, for which the check must be named again.
    check = sa.CheckConstraint(_STATES, name=op.f("ck_corpora_state"))
    with op.batch_alter_table("corpora", table_args=(check,)) as corpora:
        corpora.drop_constraint(op.f("uq_corpora_name"), type_="unique")
        corpora.add_column(_project())
    op.create_index(op.f("ix_corpora_project"), "corpora", ["project", "id"])
    op.create_index(op.f("uq_corpora_name"), "corpora", ["project", "name"], unique=True)
    op.execute("UPDATE corpora SET project = '' WHERE id = 'python-docs'")
    for table in _OTHERS:
        op.add_column(table, _project())
        op.create_index(op.f(f"ix_{table}_project"), table, ["project", "id"])
    op.add_column("jobs", sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(op.f("ix_jobs_project_state"), "jobs", ["project", "state", "held"])
    op.create_index(
        op.f("ix_jobs_held"),
        "jobs",
        ["held"],
        sqlite_where=sa.text("held = 1"),
        postgresql_where=sa.text("held"),
    )
    op.drop_index(op.f("uq_jobs_idempotency_key"), table_name="jobs")
    op.create_index(op.f("uq_jobs_idempotency_key"), "jobs", ["project", "idempotency_key"], unique=True)


def _project() -> sa.Column[str]:
    return sa.Column("project", sa.String(64), nullable=False, server_default="default")
