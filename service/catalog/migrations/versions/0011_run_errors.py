"""Why a run of a sweep failed; its job goes on with the others."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("training_runs", sa.Column("error", sa.JSON(), nullable=True))
