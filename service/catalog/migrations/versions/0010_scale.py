"""Indexes for reads of one job, and what the specs of jobs name.

Workers of the version before may run on these tables: the columns that they select stay. `spec_sha256` is no longer
written, so it may be null from now on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_INDEXES = (
    ("activations", "job"),
    ("radius_reports", "job"),
    ("energy_reports", "job"),
    ("sweeps", "job"),
    ("job_results", "product"),
    ("segments", "worker"),
    ("jobs", "finished_at"),
)


def upgrade() -> None:
    for table, column in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    op.create_index(op.f("ix_segments_job"), "segments", ["job", "stage", "done", "updated_at"])
    op.create_table(
        "job_inputs",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_job_inputs_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "product", name=op.f("pk_job_inputs")),
    )
    op.create_index(op.f("ix_job_inputs_product"), "job_inputs", ["product"])
    op.add_column("jobs", sa.Column("inputs_recorded", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        op.f("ix_jobs_inputs_recorded"),
        "jobs",
        ["inputs_recorded"],
        sqlite_where=sa.text("inputs_recorded = 0"),
        postgresql_where=sa.text("NOT inputs_recorded"),
    )
    op.drop_index(op.f("ix_jobs_spec_sha256"), table_name="jobs")
    op.drop_column("jobs", "spec_sha256")  # SQLite cannot make a column nullable; no process reads its values
    op.add_column("jobs", sa.Column("spec_sha256", sa.String(length=64), nullable=True))
