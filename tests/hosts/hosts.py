"""A service on two hosts: an API, a control worker and a compute worker on one, a compute worker on the other."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.migrate import migrate
from service.catalog.tables import segments
from service.catalog.workers import is_alive
from service.children import die_with_parent
from service.client import Client
from service.jobs.engine import migrate_engine
from service.processes import module_command
from service.settings import Settings
from service.supervisor import environment
from tests.databases.server import Server, running_server
from tests.faults.fleet import PATIENCE_S, wait_until
from tests.hosts.network import DATABASE, Network

WORKERS = ("control-a", "compute-a", "compute-b")
_PASSWORD = "of-two-hosts"
# As docs/how-to/several-hosts.md says.
_LIMITS = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
_SESSIONS = sa.text("SELECT client_port, state FROM pg_stat_activity WHERE client_addr = CAST(:host AS inet)")
_LOCKS = sa.text(
    "SELECT client_port, objid FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND client_addr = CAST(:host AS inet)"
)
_ESTABLISHED = "01"  # in /proc/net/tcp


@dataclass
class Hosts:
    """Two hosts and their processes, which nobody starts again.

    Attributes:
        settings: as the tests see the service: through the socket of the database, which no cut cable concerns.
        remote: as the processes of the hosts do.
    """

    settings: Settings
    remote: Settings
    network: Network
    catalog: Catalog
    client: Client
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def wait_until_seen(self) -> None:
        self.client.wait_until_ready(PATIENCE_S)
        self.wait_until(lambda: all(map(self.is_alive, WORKERS)), "every worker is seen")

    def wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for a condition, as long as every process runs."""

        def checked() -> bool:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.log(name)[-4000:]}"
            return ready()

        wait_until(checked, what)

    def is_alive(self, worker: str, within_s: float | None = None) -> bool:
        """Whether the worker was seen within so many seconds, or its lease."""
        with self.catalog.read() as connection:
            return is_alive(connection, worker, within_s or self.settings.lease_s)

    def log(self, worker: str) -> str:
        return _log(self.settings, worker).read_text()

    def parts(self, job_id: str) -> list[Any]:
        """The parts of a job so far, searched or being searched."""
        here = (segments.c.job == job_id) & segments.c.stage.in_(("search", "count", "settle"))
        with self.catalog.read() as connection:
            return list(connection.execute(sa.select(segments).where(here)))

    def part(self, job_id: str, name: str) -> Any:
        return next(part for part in self.parts(job_id) if part.name == name)

    def held(self, job_id: str, worker: str) -> list[str]:
        """Names of the parts that a worker is in."""
        return [part.name for part in self.parts(job_id) if part.running and part.worker == worker]

    def sessions(self, host: str) -> dict[int, str]:
        """Port and state of each session with a host, as the database believes."""
        return self._of(_SESSIONS, host)

    def locks(self, host: str) -> list[int]:
        """Ports of those sessions that have a worker's name locked."""
        return list(self._of(_LOCKS, host))

    def has_connection(self, host: str, port: int) -> bool:
        """Whether a host, as it believes itself, has a connection from that port."""
        lines = Path(f"/proc/{self.processes[f'compute-{host}'].pid}/net/tcp").read_text().splitlines()
        fields = [line.split() for line in lines[1:]]
        return any(local.endswith(f":{port:04X}") and state == _ESTABLISHED for _, local, _, state, *_ in fields)

    def start(self, name: str, command: list[str], descriptors: tuple[int, ...] = ()) -> None:
        """Start the process of that name, which ends with its host's name."""
        host = name.rpartition("-")[2]
        log = _log(self.settings, name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as told:
            self.processes[name] = subprocess.Popen(
                self.network.command(host, command),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                env=environment(self.remote.model_copy(update={"worker_name": host})),
                pass_fds=descriptors,
                preexec_fn=die_with_parent,
            )

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait(10)

    def _of(self, query: sa.TextClause, host: str) -> dict[int, Any]:
        with self.catalog.read() as connection:
            found = connection.execute(query, {"host": self.network.address(host)})
            return {row[0]: row[1] for row in found}


@contextmanager
def running_hosts(folder: Path, **options: Any) -> Iterator[Hosts]:
    """The hosts `a` and `b` on a data folder, for as long as the block."""
    network = Network(("a", "b"))
    with ExitStack() as ends:
        ends.callback(network.remove)
        network.make()
        server = ends.enter_context(_database_host(network))
        settings = Settings(
            data_dir=folder, database_url=f"postgresql://postgres@/radius?host={server.folder}", **options
        )
        settings.make_folders()
        password = folder / "database_password"
        password.write_text(_PASSWORD)
        url = f"postgresql+psycopg://radius@{network.address(DATABASE)}/radius"
        remote = settings.model_copy(update={"database_url": url, "database_password_file": password})
        listening = ends.enter_context(socket.create_server(("127.0.0.1", 0)))  # of this process's own network
        client = ends.enter_context(Client(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        catalog = ends.enter_context(closing(Catalog(settings.resolved_database_url)))
        hosts = Hosts(settings, remote, network, catalog, client)
        ends.callback(hosts.stop)
        given = listening.fileno()
        hosts.start("api-a", module_command("service.server", "--fd", str(given)), (given,))
        for worker in WORKERS:
            hosts.start(worker, module_command("workers.main", "--role", worker.partition("-")[0]))
        hosts.wait_until_seen()
        yield hosts


@contextmanager
def _database_host(network: Network) -> Iterator[Server]:
    """A server on the bridge, with the database `radius` of the user `radius`, who has a password there."""
    with running_server() as server:
        server.hasten()
        server.execute(f"CREATE ROLE radius LOGIN PASSWORD '{_PASSWORD}'")
        server.execute("CREATE DATABASE radius OWNER radius")
        own = f"postgresql://radius@/radius?host={server.folder}"
        migrate(own)
        migrate_engine(own)
        with (server.folder / "pg_hba.conf").open("a") as rules:
            rules.write(f"host radius radius {network.address(DATABASE)}/24 scram-sha-256\n")
        server.stop()
        with network.entered(DATABASE):
            server.start(network.address(DATABASE), **_LIMITS)
        try:
            yield server
        finally:
            server.stop_hard()


def _log(settings: Settings, name: str) -> Path:
    return settings.data_dir / "logs" / f"{name}.log"
