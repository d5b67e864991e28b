"""Workers' reports in their heartbeats, and indexes for the numbers of `/metrics`."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("workers", sa.Column("report", sa.JSON(), nullable=True))
    op.create_index(op.f("ix_jobs_kind"), "jobs", ["kind", "state", "created_at"])
    op.create_index(
        op.f("ix_segments_running"),
        "segments",
        ["running"],
        sqlite_where=sa.text("running = 1"),
        postgresql_where=sa.text("running"),
    )
