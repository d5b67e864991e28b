"""A search by two hosts, one of which is cut off: the same bits, and nothing of the one that returns too late."""

# One database: several hosts have PostgreSQL.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from service.artifacts.report import ReportFolder
from service.catalog import jobs
from service.catalog import radius as radius_catalog
from service.catalog import tables as tables_of
from service.catalog.engine import Catalog
from service.client import Handle
from service.contracts.jobs import Job
from tests.api.products import insert_job, measure
from tests.faults.outcomes import outcome, unlisted
from tests.faults.products import publish_set
from tests.hosts.hosts import Hosts
from tests.hosts.network import End

pytestmark = pytest.mark.long

ROWS, D = 6_000, 64
SPEC = {"fractions": [0.5, 1.0], "exclude": "same_document", "radii": [9.0], "k": 2}  # many pairs have that distance
ENDS: tuple[End, ...] = ("host", "bridge")
BOTH = ["compute-a", "compute-b"]


@pytest.fixture(scope="module")
def set_id(hosts: Hosts) -> str:
    return publish_set(hosts, ROWS, D)


@pytest.fixture(scope="module")
def whole(hosts: Hosts, set_id: str) -> list[Any]:
    """What one worker finds in one segment, in this process."""
    job_id = insert_job(hosts.catalog, {"activations": set_id})
    measure(hosts.settings, hosts.catalog, job_id, set_id, **SPEC)
    with hosts.catalog.begin() as connection:
        jobs.finish(connection, job_id, "succeeded")
        return outcome(hosts.settings, jobs.get(connection, job_id))


def test_two_hosts_share_a_search(hosts: Hosts, set_id: str, whole: list[Any]):
    check_shared(hosts, set_id, whole)


@pytest.mark.parametrize("end", ENDS)
def test_a_host_that_returns_after_the_end_publishes_nothing(hosts: Hosts, set_id: str, whole: list[Any], end: End):
    with cut_off(hosts, set_id, end) as (handle, name):
        hosts.wait_until(lambda: handle.get().state == "succeeded", "the other host ends the job")
        hosts.wait_until(lambda: not hosts.locks("b"), "the database has dropped the sessions of the host")
        part = hosts.part(handle.id, name)
        assert (part.worker, part.attempt) == ("compute-a", 2)
        assert refusals(hosts, handle.id) == 0
        before = stored(hosts)
    hosts.wait_until(lambda: refusals(hosts, handle.id) == 1, "the host that returned is refused")
    hosts.wait_until(lambda: hosts.is_alive("compute-b") and bool(hosts.locks("b")), "it has its name again")
    check_same(hosts, handle, whole)
    assert stored(hosts) == before
    check_shared(hosts, set_id, whole)


def test_a_host_that_returns_while_another_has_its_part_is_refused(hosts: Hosts, set_id: str, whole: list[Any]):
    with cut_off(hosts, set_id, "bridge") as (handle, name):
        hosts.wait_until(lambda: hosts.part(handle.id, name).attempt == 2, "the other host takes the part over")
        assert handle.get().state == "running"
    hosts.wait_until(lambda: refusals(hosts, handle.id) == 1, "the host that returned is refused")
    check_same(hosts, handle, whole)


def test_a_host_that_returns_within_its_lease_goes_on(hosts: Hosts, set_id: str, whole: list[Any]):
    with cut_off(hosts, set_id, "host") as (handle, _):
        hosts.wait_until(lambda: not hosts.is_alive("compute-b", 1.0), "it has not been seen for a second")
        assert handle.get().state == "running"
    check_same(hosts, handle, whole)
    assert refusals(hosts, handle.id) == 0
    assert {part.attempt for part in hosts.parts(handle.id)} == {1}


def test_a_host_that_returns_before_the_database_missed_it_keeps_its_name(hosts: Hosts, set_id: str, whole: list[Any]):
    """Its own session has the lock of its name still, though it gave that session up."""
    with cut_off(hosts, set_id, "host") as (handle, _):
        (before,) = hosts.locks("b")
        hosts.wait_until(lambda: not hosts.has_connection("b", before), "it gives the session of its lock up")
        assert hosts.locks("b") == [before]
    hosts.wait_until(lambda: before not in hosts.locks("b") != [], "it has its name again")
    hosts.wait_until(lambda: hosts.is_alive("compute-b"), "it is seen again")
    check_same(hosts, handle, whole)
    check_shared(hosts, set_id, whole)


def test_the_database_drops_a_session_whose_answer_is_under_way(hosts: Hosts):
    """Keep-alives are sent only where nothing else is."""
    with session_from(hosts, "b") as session:
        port = session.scalar(sa.text("SELECT inet_client_port()"))
        driver: Any = session.connection.driver_connection
        driver.pgconn.send_query(b"SELECT pg_sleep(1)")  # and does not wait for the answer
        with hosts.network.severed("b", "bridge"):
            hosts.wait_until(lambda: hosts.sessions("b").get(port) == "idle", "it has answered")
            hosts.wait_until(lambda: port not in hosts.sessions("b"), "it has dropped the session")
    hosts.wait_until(lambda: hosts.is_alive("compute-b"), "the worker of that host is seen again")


@contextmanager
def session_from(hosts: Hosts, host: str) -> Iterator[sa.Connection]:
    with closing(Catalog(hosts.remote.resolved_database_url)) as catalog:
        with hosts.network.entered(host):
            session = catalog.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        yield session
        session.invalidate()


@contextmanager
def cut_off(hosts: Hosts, set_id: str, end: End) -> Iterator[tuple[Handle, str]]:
    """A job, and its part that host b was in when its cable was cut; the cable is mended at the end."""
    for _ in range(20):
        handle = hosts.client.submit("radius", {"activations": set_id, **SPEC})
        hosts.wait_until(lambda handle=handle: hosts.held(handle.id, "compute-b") != [], "host b has a part")
        with hosts.network.severed("b", end):
            hosts.wait_until(lambda: "active" not in hosts.sessions("b").values(), "what b had asked for is answered")
            if held := hosts.held(handle.id, "compute-b"):
                yield handle, held[0]
                return
        handle.wait()
    raise AssertionError("host b could not be cut off within a part")


def check_shared(hosts: Hosts, set_id: str, whole: list[Any]) -> None:
    """Both hosts search parts of a job, of the first or one of the next, and each comes to the same."""
    for _ in range(10):
        handle = hosts.client.submit("radius", {"activations": set_id, **SPEC})
        searched_by = provenance(hosts, check_same(hosts, handle, whole))["parts"]["worker"]
        parts = hosts.parts(handle.id)
        assert searched_by == sorted({part.worker for part in parts if part.stage == "search"})
        assert {part.attempt for part in parts} == {1}
        if searched_by == BOTH:
            return
    raise AssertionError("one host has searched all")


def check_same(hosts: Hosts, handle: Handle, whole: list[Any]) -> Job:
    """Every number but those of timing and provenance, and every byte of the neighbours; nothing is left over."""
    hosts.wait_until(lambda: handle.get().state not in ("queued", "running"), "the job ends")
    job = handle.get()
    assert (job.state, job.error) == ("succeeded", None)
    assert outcome(hosts.settings, job) == whole
    hosts.wait_until(lambda: not unlisted(hosts.settings, hosts.catalog), "nothing is left over")
    return job


def provenance(hosts: Hosts, job: Job) -> dict[str, Any]:
    with hosts.catalog.read() as connection:
        _, sha256 = radius_catalog.get(connection, job.results[0].id)
    return ReportFolder(hosts.settings.artifacts_root / job.results[0].id, sha256).report().provenance["search"]


def refusals(hosts: Hosts, job_id: str) -> int:
    """How often host b was told that a part is not its own any more."""
    told = [line for line in hosts.log("compute-b").splitlines() if job_id in line]
    return sum("failed: superseded" in line or "failed: cancelled" in line for line in told)


def stored(hosts: Hosts) -> tuple[dict[str, tuple[int, int]], list[Any]]:
    """Inode and time of every published file, and the rows of jobs, of their segments and of reports."""
    root, staging = hosts.settings.artifacts_root, hosts.settings.staging_root
    files = {str(path): path.stat() for path in root.rglob("*") if staging not in (path, *path.parents)}
    seen = {name: (found.st_ino, found.st_mtime_ns) for name, found in files.items()}
    with hosts.catalog.read() as connection:
        tables = (tables_of.jobs, tables_of.segments, tables_of.radius_reports)
        return seen, [sorted(map(str, connection.execute(sa.select(table)))) for table in tables]
