"""All settings, read once from the environment (prefix `RADIUS_`) and passed down."""

from __future__ import annotations

import errno
import os
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.addresses import canonical
from service.errors import InvalidInput

MIB = 2**20
GIB = 2**30
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_LONGEST_SQLITE_PATH = 504  # bytes; SQLite allows itself 512 for the path of the journal beside the database
# A connection that waits for an answer notices within 25 s that the server's machine is unreachable.
_KEEP_ALIVE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3"}


def _renamed(name: str, earlier: str) -> AliasChoices:
    """The environment variables of a setting that had an `earlier` name, which is still accepted."""
    return AliasChoices(f"RADIUS_{name.upper()}", f"RADIUS_{earlier.upper()}")


class Settings(BaseSettings):
    """Every setting with its reason; the environment variable of `host` is `RADIUS_HOST`, and so on."""

    model_config = SettingsConfigDict(env_prefix="RADIUS_", extra="ignore", frozen=True, populate_by_name=True)

    host: str = Field(
        default="127.0.0.1", description="address the API binds; without API keys only loopback is allowed"
    )
    port: int = Field(default=8000, ge=0, le=65535, description="port the API binds; 0 takes a free one")
    data_dir: Path = Field(
        default=Path("radius-data"), description="folder of the database, shards, reports and caches"
    )
    database_url: str | None = Field(default=None, description="SQLAlchemy URL; default: SQLite in the data directory")
    idle_transaction_s: float = Field(
        default=15.0,
        ge=0,
        description="PostgreSQL ends a session that is idle within a transaction for this long, so a frozen worker "
        "does not keep its locks; 0: never, for a pooler that accepts no session options",
    )
    database_connect_s: int = Field(
        default=5, ge=2, description="timeout of connecting to PostgreSQL; the driver's least is 2 s"
    )
    database_answer_s: float = Field(
        default=20.0,
        gt=0,
        description="how long the API waits for PostgreSQL before it answers 503, and every process for a network that "
        "drops packets; above IDLE_TRANSACTION_S, after which a frozen worker's lock is released",
    )
    database_password_file: Path | None = Field(
        default=None, description="file with the password for DATABASE_URL, which then is in no environment variable"
    )
    api_keys_file: Path | None = Field(
        default=None, description="hashes of the API keys (`radius keys create`); when set, every request needs a key"
    )
    allowed_hosts: str = Field(
        default="", description="host names, separated by commas, that requests may have beside the loopback ones"
    )
    models_dir: Path | None = Field(default=None, description="model folders; default: DATA_DIR/models")
    corpora_dir: Path | None = Field(
        default=None, description="folder of text that may be registered; default: DATA_DIR/corpora"
    )
    project_queued_jobs: int = Field(
        default=10_000, ge=1, description="jobs of one project that may wait; the next is answered with 429"
    )
    project_running_jobs: int = Field(
        default=48,
        ge=1,
        description="jobs of one project that run at once, trainings with sweeps counted apart; others of it wait, so "
        "that it takes at most half of the places of trainings and a quarter of the rest",
    )
    project_running_reproductions: int = Field(
        default=8, ge=1, description="reproductions of one project that run at once, half of their places"
    )
    project_corpora: int = Field(
        default=10_000, ge=1, description="corpora that one project may register; the next is answered with 507"
    )
    project_scanning_corpora: int = Field(
        default=16,
        ge=1,
        description="corpora of one project that are counted at once, before all jobs; the next is answered with 429",
    )
    project_event_streams: int = Field(
        default=500, ge=1, description="event streams that one project may have open; the next is answered with 429"
    )
    project_stored_bytes: int = Field(
        default=0,
        ge=0,
        description="files of one project: its products and uploads; what would add to more is answered with 507; "
        "0: no limit beside the disk's",
    )
    device: str = Field(default="auto", description="device of a compute worker: auto, cpu or cuda:N")
    devices: str = Field(
        default="",
        description="devices of several compute workers, separated by commas, one worker each: cpu, which may be named "
        "more than once, cuda:N, or all alone for every GPU; empty: one worker on DEVICE",
    )
    worker_name: str = Field(
        default="local",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="name of this machine's workers; restarted under it, they continue their jobs",
    )
    torch_threads: int = Field(
        default=0,
        ge=0,
        description="threads of a compute worker; 0: all cores, of which each of several has an equal share",
    )

    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="path below which a reverse proxy serves the API; links in answers begin with it",
    )
    trusted_proxies: str = Field(
        default="",
        description="addresses or networks, separated by commas, of reverse proxies whose X-Forwarded-For, -Proto and "
        "-Host are believed; anybody else can write such headers too",
    )
    log_format: Literal["text", "json"] = Field(default="text", description="lines for people, or for programs")
    log_file: Path | None = Field(
        default=None, description="file of a process's log; default: standard error, which a container engine keeps"
    )
    log_bytes: int = Field(
        default=16 * MIB,
        ge=4096,
        description="a larger log file is renamed to NAME.1, so a process's log takes twice this at most",
    )
    log_repeats: int = Field(
        default=10, ge=1, description="equal log lines in a minute; one fault must not fill the disk"
    )
    metrics_cache_s: float = Field(
        default=5.0, ge=0, description="how long /metrics repeats what it read, so that scraping costs little"
    )

    max_connections: int = Field(
        default=1_000, ge=8, description="open connections; the next one is answered 503. An event stream holds one"
    )
    head_s: float = Field(
        default=15.0, gt=0, description="time from the first byte of a request to the end of its head; then it is cut"
    )
    body_bytes_per_s: float = Field(
        default=1_000.0, ge=0, description="slowest body: one that brings less over HEAD_S, while it is read, is cut"
    )
    max_queued_jobs: int = Field(
        default=20_000, ge=1, description="jobs of all projects that may wait; the next is answered with 429"
    )
    max_json_bytes: int = Field(
        default=8 * MIB, ge=1024, description="largest JSON body; a spec is a few hundred bytes"
    )
    max_json_values: int = Field(
        default=20_000, ge=100, description="values in a JSON body, of which evaluations and queries may have more"
    )
    json_body_s: float = Field(
        default=60.0, gt=0, description="time in which a JSON body must arrive, so that slow ones do not hold memory"
    )
    body_memory_bytes: int = Field(
        default=64 * MIB,
        ge=MIB,
        description="memory of JSON bodies above 64 kB that are being read; one that finds none gets 429",
    )
    max_upload_bytes: int = Field(default=8 * GIB, ge=1024, description="largest uploaded file; it is streamed to disk")
    max_chunks: int = Field(
        default=20_000_000, ge=1, description="largest sample of one extraction; a row is 4 d_model bytes"
    )
    max_d_model: int = Field(
        default=65_536, ge=1, description="longest row of an import; a page of longer ones is many megabytes"
    )
    max_page_bytes: int = Field(
        default=4 * MIB, ge=1024, description="about the longest page with vectors, which then has fewer rows"
    )
    max_page: int = Field(default=200, ge=1, description="longest page of a listing")
    max_document_bytes: int = Field(
        default=256 * MIB,
        ge=1024,
        lt=2**31,
        description="largest single document, and largest compressed or .json file of text; each is read into memory",
    )
    max_expansion: int = Field(
        default=200,
        ge=1,
        description="a compressed file whose text has more than this many times its bytes, and more than 8 MiB, is "
        "refused; text shrinks to a tenth, repetitive logs to a hundredth",
    )
    tokenising_memory_bytes: int = Field(
        default=4 * GIB,
        ge=MIB,
        description="memory for tokenising a text, or a part of one, that cannot be cut; a longer one is refused. "
        "GPT-2's tokenizer can be given parts that begin with white space",
    )
    corpus_scan_wait_s: float = Field(
        default=5.0, ge=0, description="how long registration waits for the count of a corpus"
    )

    shard_tokens: int = Field(default=65_536, ge=1, description="tokens of one shard, the unit of resuming")
    batch_tokens: int = Field(
        default=0, ge=0, description="tokens of one forward pass, part of a shard's fixed batches; 0: by the device"
    )
    approximation_rows: int = Field(
        default=1_000, ge=1, description="rows searched again exactly to measure an approximate engine"
    )
    disk_reserve_bytes: int = Field(
        default=GIB,
        ge=0,
        description="free space that jobs leave on the data directory's disk; a job that needs it is refused",
    )
    max_job_hours: float = Field(
        default=120.0,
        gt=0,
        description="longest job by its estimate; one that gives a `timeout_s` may take longer, as it has said so",
    )
    calibration_wait_s: float = Field(
        default=20.0, ge=0, description="how long an estimate waits for the first measurement of a device"
    )
    search_memory_bytes: int = Field(
        default=16 * GIB,
        ge=0,
        description="a search whose encoded rows need more memory encodes them again for every panel",
    )
    search_split_work: float = Field(
        default=1e12,
        ge=0,
        description="pairs × dimensions from which a search is divided into parts; a smaller one takes seconds",
    )
    search_segment_s: float = Field(
        default=20.0,
        gt=0,
        description="longest part of a search: what a short job waits for at most, and what is lost when a worker dies",
    )
    energy_basin_rows: int = Field(
        default=64, ge=1, description="patterns whose ball is tested: do starting points on its sphere return?"
    )
    energy_curvature_rows: int = Field(default=64, ge=1, description="points at which the Hessian is computed")
    max_evaluate_numbers: int = Field(
        default=1_000_000, ge=1, description="patterns and queries of one evaluation, in numbers"
    )
    max_evaluate_products: int = Field(
        default=2_000_000_000, ge=1, description="queries × patterns × dimension of one evaluation: seconds"
    )
    max_evaluate_bytes: int = Field(
        default=32 * MIB, ge=1024, description="JSON body of an evaluation or a query; a number is up to 25 bytes"
    )
    evaluation_slots: int = Field(
        default=2, ge=1, description="evaluations at once, and large bodies of queries that are read at once"
    )
    evaluation_queue: int = Field(
        default=64, ge=0, description="small evaluations that may wait for a slot; others get 429 at once"
    )
    evaluation_s: float = Field(default=60.0, gt=0, description="longest evaluation of a large body")
    max_query_characters: int = Field(
        default=100_000, ge=1, description="characters of a text in a query; a context of 1,024 tokens has about 5,000"
    )
    query_memory_bytes: int = Field(
        default=8 * GIB,
        ge=0,
        description="memory of the sets that the query worker keeps; a set whose rows need more is read from disk",
    )
    query_sets: int = Field(
        default=64,
        ge=1,
        description="sets that the query worker keeps, the last queried ones: those read from disk hold little memory, "
        "but all of their files open",
    )
    query_timeout_s: float = Field(default=30.0, gt=0, description="how long the API waits for the query worker")
    max_queries: int = Field(default=256, ge=1, description="texts or vectors of one query")
    null_queries: int = Field(default=1_000, ge=1, description="sampled queries of the Gaussian null model")
    null_draws: int = Field(default=4, ge=2, le=1_000, description="sets that are drawn from each null model")
    poll_interval_s: float = Field(default=0.1, gt=0, description="pause between two polls of a worker's queue")
    progress_interval_s: float = Field(
        default=0.5, ge=0, description="least time between two progress writes of a segment"
    )
    reconcile_interval_s: float = Field(
        default=1.0,
        gt=0,
        validation_alias=_renamed("reconcile_interval_s", "settle_interval_s"),
        description="pause between two passes in which the control worker ends jobs that were cancelled, lost or late",
    )
    takeover_interval_s: float = Field(
        default=5.0, gt=0, description="pause between two checks for dead workers, whose segments are requeued"
    )
    lease_s: float = Field(
        default=20.0, gt=0, description="a worker without a heartbeat for this long counts as dead; others take over"
    )
    stuck_s: float = Field(
        default=120.0,
        gt=0,
        description="a worker still busy this long with a segment of an ended job is killed",
    )
    training_segment_s: float = Field(
        default=45.0,
        gt=0,
        description="longest segment of a training on a compute worker; then the next job runs",
    )
    trainer_segment_s: float = Field(
        default=900.0,
        gt=0,
        description="the same on a trainer, where nothing else waits; a death loses the steps since an evaluation",
    )
    retain_jobs_days: float | None = Field(
        default=None,
        gt=0,
        description="older ended jobs are deleted with their files, except those labelled keep=true or whose sets are "
        "in use; default: never",
    )
    retain_failed_days: float | None = Field(
        default=None, gt=0, description="the same for failed and cancelled jobs; default: as RETAIN_JOBS_DAYS"
    )
    leftover_age_s: float = Field(
        default=86_400.0,
        ge=0,
        description="files that belong to no job and no row are deleted when nothing was written to them for so long; "
        "an import writes every few seconds",
    )
    index_cache_bytes: int = Field(
        default=64 * GIB, ge=0, description="cached indices on disk; the least recently used are deleted"
    )
    cleanup_interval_s: float = Field(
        default=600.0,
        gt=0,
        validation_alias=_renamed("cleanup_interval_s", "sweep_interval_s"),
        description="pause between two clean-ups, in which the control worker deletes expired jobs and orphaned files",
    )
    drain_s: float = Field(
        default=6.0, ge=0, description="how long a stopping worker may continue its segment; then another worker does"
    )
    restart_delay_s: float = Field(
        default=0.5, ge=0, description="pause before the supervisor starts a dead process again"
    )

    @field_validator("host")
    @classmethod
    def _one_spelling(cls, host: str) -> str:
        return canonical(host)

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, hosts: str) -> str:
        for host in _listed(hosts):
            try:
                canonical(host.removeprefix("*."))
            except ValueError:
                if host != "*":
                    raise ValueError(f"{host!r} is no host: give names or addresses, without scheme and port") from None
        return hosts

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: str) -> str:
        for proxy in _listed(proxies):
            ip_network(proxy)
        return proxies

    @field_validator("data_dir", "models_dir", "corpora_dir", "database_password_file", "api_keys_file", "log_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise ValueError("the path is not UTF-8, so no URL of a database can have it") from None
        return path.expanduser().absolute()

    @property
    def request_hosts(self) -> list[str]:
        """The names that a request may give the service: canonical hosts, `*.domain`, or `*` for any."""
        given = [host.lower() if host.startswith("*") else canonical(host) for host in _listed(self.allowed_hosts)]
        return [*_LOOPBACK_HOSTS, self.host, *given]

    @property
    def proxies(self) -> list[str]:
        """Addresses and networks of the trusted reverse proxies."""
        return _listed(self.trusted_proxies)

    @property
    def resolved_database_url(self) -> str:
        """The URL with its password; sessions of PostgreSQL get our limits, also those that the job engine opens.

        Raises:
            InvalidInput: DATABASE_URL is none of PostgreSQL or SQLite, or the file of SQLite has too long a path.
        """
        from sqlalchemy import URL, make_url  # here, so that a command which reads settings alone does not load it
        from sqlalchemy.exc import ArgumentError

        own = None if self.database_url else URL.create("sqlite", database=self._sqlite_file())
        try:
            url = own or make_url(self.database_url or "")
        except ArgumentError as error:
            raise InvalidInput("RADIUS_DATABASE_URL is not a URL", field="database_url") from error
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise InvalidInput("RADIUS_DATABASE_URL begins with sqlite:// or postgresql://", field="database_url")
        if self.database_password_file is not None:
            if not url.username or url.password is not None:
                detail = "DATABASE_PASSWORD_FILE goes with a DATABASE_URL that has a user and no password"
                raise InvalidInput(detail, field="database_password_file")
            url = url.set(password=self.database_password_file.read_text().strip())
        if url.get_backend_name() == "postgresql":
            url = url.set(query={**self._session_parameters(), **url.query})
        return url.render_as_string(hide_password=False)

    def _sqlite_file(self) -> str:
        path = str(self.data_dir / "radius.db")
        length = len(os.fsencode(path))
        if length > _LONGEST_SQLITE_PATH:
            detail = (
                f"SQLite opens paths of at most {_LONGEST_SQLITE_PATH} bytes, and its file would have one of {length}: "
                "choose a shorter RADIUS_DATA_DIR or set RADIUS_DATABASE_URL"
            )
            raise InvalidInput(detail, field="data_dir")
        return path

    def _session_parameters(self) -> dict[str, str]:
        limit_ms = max(1, round(1000 * self.idle_transaction_s))
        idle = {"options": f"-c idle_in_transaction_session_timeout={limit_ms}"} if self.idle_transaction_s else {}
        answer_ms, connect_s = round(1000 * self.database_answer_s), self.database_connect_s
        return idle | _KEEP_ALIVE | {"connect_timeout": str(connect_s), "tcp_user_timeout": str(answer_ms)}

    @property
    def models_root(self) -> Path:
        return self.models_dir or self.data_dir / "models"

    @property
    def corpora_root(self) -> Path:
        return self.corpora_dir or self.data_dir / "corpora"

    @property
    def uploads_root(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def artifacts_root(self) -> Path:
        return self.data_dir / "artifacts"

    @property
    def staging_root(self) -> Path:
        """Unpublished files; on the disk of the published ones, so that publishing is a rename."""
        return self.artifacts_root / ".staging"

    @property
    def index_cache(self) -> Path:
        return self.data_dir / "cache" / "indices"

    @property
    def key_uses(self) -> Path:
        """The folder with the times at which API keys were last used."""
        return self.data_dir / "key-uses"

    @property
    def locks(self) -> Path:
        return self.data_dir / "locks"

    @property
    def run_folder(self) -> Path:
        """The folder that processes of one host share: sockets and locks."""
        return self.data_dir / "run"

    @property
    def query_socket(self) -> Path:
        """Socket of the query worker; `service.unix_sockets` reaches it however long its path is."""
        return self.run_folder / "query.sock"

    def make_folders(self) -> None:
        """Create the folders that every process expects.

        Raises:
            InvalidInput: a path is longer than the file system allows.
        """
        try:
            for folder in (
                self.models_root,
                self.corpora_root,
                self.uploads_root,
                self.artifacts_root,
                self.index_cache,
            ):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.run_folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            detail = "the file system does not allow so long a path, or a name of more than 255 bytes in it"
            raise InvalidInput(detail, field="data_dir") from error

    def limits(self) -> dict[str, int]:
        """The limits shown at `/v1/limits`."""
        names = (
            "max_json_bytes", "max_upload_bytes", "max_chunks", "max_page", "max_document_bytes", "max_expansion",
            "tokenising_memory_bytes", "max_evaluate_numbers", "max_evaluate_products", "max_evaluate_bytes",
            "max_queries", "max_json_values", "max_d_model", "max_query_characters",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


class ClientSettings(BaseSettings):
    """The settings of a client, from the environment."""

    model_config = SettingsConfigDict(env_prefix="RADIUS_", extra="ignore", frozen=True)

    url: str = Field(default="http://127.0.0.1:8000", description="where clients find the service")
    api_key: str | None = Field(default=None, description="API key that clients send")


def _listed(hosts: str) -> list[str]:
    return [name.strip() for name in hosts.split(",") if name.strip()]
