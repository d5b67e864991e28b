"""Run by Alembic inside the caller's transaction; it sees our tables only, never the job engine's."""

from alembic import context

from service.catalog.migrate import is_ours
from service.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=is_ours,
    version_table="radius_schema",
)
context.run_migrations()
