"""Retries and idempotency keys of jobs, owners of segments, events."""

import sqlalchemy as sa
from alembic import op

from service.catalog.tables import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("retries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("idempotency_key", sa.String(length=200), nullable=True))
    op.add_column("jobs", sa.Column("request_sha256", sa.String(length=64), nullable=True))
    op.create_index(op.f("uq_jobs_idempotency_key"), "jobs", ["idempotency_key"], unique=True)
    op.add_column("segments", sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("segments", sa.Column("running", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("segments", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("segments", sa.Column("done_before", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_events_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_job"), "events", ["job"])
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
