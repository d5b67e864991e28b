"""Activation sets are found again by what they were made of."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("activations", sa.Column("reuse_key", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_activations_reuse_key"), "activations", ["reuse_key"])
