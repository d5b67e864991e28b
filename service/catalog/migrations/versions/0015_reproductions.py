"""Reproductions of the paper's claims."""

import sqlalchemy as sa
from alembic import op

from service.catalog.tables import UtcDateTime

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "reproductions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("job", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("scale", sa.String(16), nullable=False),
        sa.Column("model", sa.String(512), nullable=False),
        sa.Column("corpus", sa.String(512), nullable=False),
        sa.Column("verdicts", sa.JSON(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("view_step", sa.BigInteger(), nullable=False),
        sa.Column("view_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("project", sa.String(64), nullable=False, server_default="default"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reproductions")),
    )
    op.create_index(op.f("ix_reproductions_job"), "reproductions", ["job"])
    op.create_index(op.f("ix_reproductions_project"), "reproductions", ["project", "id"])
