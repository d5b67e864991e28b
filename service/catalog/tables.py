"""The tables. The job engine keeps its own beside them, in the same database."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from service.principal import DEFAULT_PROJECT

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


SHARED = ""  # the project of the built-in corpora, which every project may read


def _project() -> sa.Column[str]:
    """The project that owns a row; a process of the version before writes rows without it."""
    return sa.Column("project", sa.String(64), nullable=False, server_default=DEFAULT_PROJECT)


corpora = sa.Table(
    "corpora",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("source", sa.JSON, nullable=False),
    sa.Column("counts", sa.JSON),
    sa.Column("error", sa.JSON),
    sa.Column("created_at", UtcDateTime, nullable=False),
    _project(),
    sa.CheckConstraint("state IN ('scanning', 'ready', 'failed')", name="state"),
    sa.Index("ix_corpora_project", "project", "id"),
    sa.Index("uq_corpora_name", "project", "name", unique=True),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("spec_sha256", sa.String(64)),  # unused, as is the next; workers of the version before select both
    sa.Column("owner", sa.String(64)),
    sa.Column("inputs_recorded", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON),
    sa.Column("total", sa.BigInteger),
    sa.Column("unit", sa.String(16), nullable=False),
    sa.Column("retries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("idempotency_key", sa.String(200)),
    sa.Column("request_sha256", sa.String(64)),
    sa.Column("timeout_s", sa.Float),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime, index=True),
    _project(),
    sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()),  # queued here, not yet in the engine
    sa.CheckConstraint(
        "state IN ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')", name="state"
    ),
    sa.Index("ix_jobs_project", "project", "id"),
    sa.Index("ix_jobs_project_state", "project", "state", "held"),
    sa.Index("ix_jobs_held", "held", sqlite_where=sa.text("held = 1"), postgresql_where=sa.text("held")),
    sa.Index("uq_jobs_idempotency_key", "project", "idempotency_key", unique=True),
    sa.Index("ix_jobs_kind", "kind", "state", "created_at"),  # all that the counts of the metrics read
    sa.Index(
        "ix_jobs_inputs_recorded",
        "inputs_recorded",
        sqlite_where=sa.text("inputs_recorded = 0"),
        postgresql_where=sa.text("NOT inputs_recorded"),
    ),
)

segments = sa.Table(
    "segments",
    metadata,
    sa.Column("job", sa.String(64), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.String(128), nullable=False, index=True),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("running", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("done_before", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Index(
        "ix_segments_running", "running", sqlite_where=sa.text("running = 1"), postgresql_where=sa.text("running")
    ),
    sa.Index("ix_segments_job", "job", "stage", "done", "updated_at"),  # all that a job's progress is computed from
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("job", sa.String(64), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("device", sa.JSON),
    sa.Column("report", sa.JSON),
)

background_tasks = sa.Table(
    "errands",  # the table's first name: an older worker reads and writes it during an upgrade
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("worker", sa.String(128), nullable=False),
    sa.Column("running", sa.Boolean, nullable=False),
    sa.Column("deaths", sa.Integer, nullable=False),
)

calibrations = sa.Table(
    "calibrations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("speeds", sa.JSON, nullable=False),
)

job_results = sa.Table(
    "job_results",
    metadata,
    sa.Column("job", sa.String(64), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("site", sa.String(64)),
    sa.Column("product", sa.String(64), nullable=False, index=True),
)

job_inputs = sa.Table(
    "job_inputs",
    metadata,
    sa.Column("job", sa.String(64), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("product", sa.String(64), primary_key=True, index=True),
)

activations = sa.Table(
    "activations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("job", sa.String(64), index=True),
    sa.Column("site", sa.String(64)),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("d_model", sa.Integer, nullable=False),
    sa.Column("dtype", sa.String(16), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("statistics", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("reuse_key", sa.String(64), index=True),
    _project(),
    sa.Index("ix_activations_project", "project", "id"),
)

radius_reports = sa.Table(
    "radius_reports",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("job", sa.String(64), nullable=False, index=True),
    sa.Column("activations", sa.String(64), nullable=False, index=True),
    sa.Column("site", sa.String(64)),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("d_model", sa.Integer, nullable=False),
    sa.Column("nn_distance", sa.JSON),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    _project(),
    sa.Index("ix_radius_reports_project", "project", "id"),
)

energy_reports = sa.Table(
    "energy_reports",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("job", sa.String(64), nullable=False, index=True),
    sa.Column("activations", sa.JSON, nullable=False),
    sa.Column("queries", sa.String(64)),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("d_model", sa.Integer, nullable=False),
    sa.Column("points", sa.BigInteger, nullable=False),
    sa.Column("mean", sa.JSON),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    _project(),
    sa.Index("ix_energy_reports_project", "project", "id"),
)

profiles = sa.Table(
    "profiles",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("job", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("d_model", sa.Integer, nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("sites", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    _project(),
    sa.Index("ix_profiles_project", "project", "id"),
)

reproductions = sa.Table(
    "reproductions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("job", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("scale", sa.String(16), nullable=False),
    sa.Column("model", sa.String(512), nullable=False),
    sa.Column("corpus", sa.String(512), nullable=False),
    sa.Column("verdicts", sa.JSON, nullable=False),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("view_step", sa.BigInteger, nullable=False),
    sa.Column("view_sha256", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    _project(),
    sa.Index("ix_reproductions_project", "project", "id"),
)

training_runs = sa.Table(
    "training_runs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("job", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("experiment", sa.String(32), nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("steps", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("reference_lines", sa.JSON, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("losses", sa.JSON, nullable=False),
    sa.Column("evaluation", sa.JSON, nullable=False),
    sa.Column("trajectory", sa.JSON),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("timing", sa.JSON, nullable=False),
    sa.Column("provenance", sa.JSON, nullable=False),
    sa.Column("view_step", sa.BigInteger),
    sa.Column("view_sha256", sa.String(64)),
    sa.Column("state_file", sa.String(128)),
    sa.Column("state_sha256", sa.String(64)),
    sa.Column("error", sa.JSON),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    _project(),
    sa.Index("ix_training_runs_project", "project", "id"),
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("job", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("experiment", sa.String(32), nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("cells", sa.JSON, nullable=False),
    sa.Column("tables", sa.JSON),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("view_step", sa.BigInteger),
    sa.Column("view_sha256", sa.String(64)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    _project(),
    sa.Index("ix_sweeps_project", "project", "id"),
)

training_metrics = sa.Table(
    "training_metrics",
    metadata,
    sa.Column("run", sa.String(64), sa.ForeignKey("training_runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("train_loss", sa.Float, nullable=False),
    sa.Column("val_loss", sa.Float),
    sa.Column("lr", sa.Float, nullable=False),
    sa.Column("grad_norm", sa.Float, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)

training_checkpoints = sa.Table(
    "training_checkpoints",
    metadata,
    sa.Column("run", sa.String(64), sa.ForeignKey("training_runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.String(64), nullable=False),
)
