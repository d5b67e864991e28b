"""Run by Alembic inside the caller's transaction; it sees our tables only, never the job engine's."""

from alembic import context

from service.catalog.tables import metadata


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    return kind != "table" or name in metadata.tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=_ours,
    version_table="radius_schema",
)
context.run_migrations()
