"""The state that a run goes on from: which file, and its SHA-256."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("training_runs", sa.Column("state_file", sa.String(length=128), nullable=True))
    op.add_column("training_runs", sa.Column("state_sha256", sa.String(length=64), nullable=True))
