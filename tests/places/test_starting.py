"""`radius up` at its start: one on a data directory, wherever it is run, and ended by a child that fails."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.binding import bind
from service.claim import Claim
from service.errors import Conflict
from service.processes import NOT_YET, module_command, open_standard_streams
from service.settings import Settings
from service.supervisor import Supervisor
from workers.main import main

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "service").rglob("*.py"), *(ROOT / "workers").rglob("*.py")])


def environment(**given: str) -> dict[str, str]:
    """Of a process that finds this source, wherever it is run."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | given


@contextmanager
def closed(*descriptors: int) -> Iterator[None]:
    """These standard streams are closed within the block, as by `<&-` in a shell."""
    kept = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in descriptors]
    for number in descriptors:
        os.close(number)
    try:
        yield
    finally:
        for number, copy in zip(descriptors, kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def test_a_folder_called_service_does_not_take_our_packages_place(tmp_path: Path):
    for name in ("service", "workers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    command = module_command("service.cli", "version")
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_process_is_started_by_that_command():
    """`-m` without `-P` puts the current folder first."""
    assert [path.name for path in SOURCES if '"-m"' in path.read_text()] == ["processes.py"]


def test_a_second_one_on_a_data_directory_is_refused_by_the_firsts_process_and_url(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, port=0)
    settings.make_folders()
    first = Claim(settings.run_folder / "up.lock")
    with pytest.raises(Conflict, match=rf"runs on this data directory already, process {os.getpid()}:"):
        Claim(settings.run_folder / "up.lock")
    first.describe("http://127.0.0.1:8123")
    second = Supervisor(settings)
    with pytest.raises(Conflict, match=rf"process {os.getpid()} at http://127\.0\.0\.1:8123: stop it"):
        second.start()
    second.stop()
    assert second.children.all == []
    with pytest.raises(Conflict, match=r":8123"):  # the second one has freed and changed nothing
        Claim(settings.run_folder / "up.lock")
    first.release()
    Claim(settings.run_folder / "up.lock").release()


@pytest.mark.parametrize("streams", [(0,), (0, 1, 2)])
def test_the_listening_socket_never_gets_the_number_of_a_standard_stream(streams: tuple[int, ...]):
    with closed(*streams), bind(Settings(port=0)) as listening:
        number, name = listening.fileno(), listening.getsockname()
    assert number > 2
    assert name[1] > 0


def test_closed_standard_streams_are_opened_and_open_ones_left():
    with closed(0, 2):
        open_standard_streams()
        opened = [os.readlink(f"/proc/self/fd/{number}") for number in (0, 2)]
        inherited = [os.get_inheritable(number) for number in (0, 2)]
        output = os.readlink("/proc/self/fd/1")
        open_standard_streams()
        os.close(0)
        os.close(2)
    assert opened == ["/dev/null"] * 2
    assert inherited == [True, True]
    assert output == os.readlink("/proc/self/fd/1")


def test_a_child_that_fails_at_its_start_ends_it_with_the_end_of_its_log(tmp_path: Path):
    """All of it in real processes; standard input is closed, and the data directory looks like markup."""
    (tmp_path / "first" / "workers").mkdir(parents=True)
    (tmp_path / "first" / "workers" / "__init__.py").write_text("")
    (tmp_path / "first" / "workers" / "main.py").write_text("raise RuntimeError('[bold]no such device')")
    folder = tmp_path / "x[" / "y]"
    command = [sys.executable, "-m", "service.cli", "up", "--port", "0", "--data-dir", str(folder)]
    found = environment(PYTHONPATH=f"{tmp_path / 'first'}:{ROOT}", COLUMNS="40")
    given = {"env": found, "capture_output": True, "text": True, "check": False, "timeout": 60}
    done = subprocess.run(command, preexec_fn=lambda: os.close(0), **given)
    assert done.returncode == 1, done.stderr
    lines = done.stderr.splitlines()[1:]  # the first says that there are no keys
    assert "process ended at its start with exit code 1" in lines[0]
    assert f"{folder}/logs/" in lines[0]
    assert lines[-1] == "RuntimeError: [bold]no such device"
    assert done.stdout.splitlines()[0].endswith(f"data in {folder}")


@pytest.mark.parametrize("role", ["control", "compute", "query"])
def test_a_worker_on_a_database_without_tables_says_which_command_makes_them(
    tmp_path: Path, role: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("RADIUS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "argv", ["radius worker", "--role", role])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == NOT_YET
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "`radius db upgrade` makes them" in line.getMessage()
    assert line.exc_info is None
