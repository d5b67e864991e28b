"""The devices of several compute workers: which lists are accepted, what each worker gets, when they are healthy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from service import compute_workers as module
from service.catalog import workers
from service.catalog.engine import Catalog
from service.children import Child, Children
from service.cli import worker
from service.commands.administration import check_health
from service.compute_workers import ComputeWorker, compute_workers, one_for_each_core, parse_devices, record_names
from service.errors import InvalidInput, StartFailed, Unavailable
from service.settings import Settings
from service.supervisor import Supervisor, run_compute_workers


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_count_gpus", lambda: (2, ""))


def devices(text: str) -> list[str]:
    return [one.settings.device for one in compute_workers(Settings(devices=text))]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("cpu", ["cpu"]),
        ("cpu,cpu", ["cpu", "cpu"]),
        (" cuda:10 , cuda:2, cpu,", ["cuda:10", "cuda:2", "cpu"]),
        ("all", ["all"]),
    ],
)
def test_a_list_of_devices(text: str, names: list[str]):
    assert parse_devices(text) == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cuda", "'cuda'"),
        ("cpu,gpu0", "'gpu0'"),
        ("auto", "'auto'"),
        ("CPU", "'CPU'"),
        ("cuda:-1", "'cuda:-1'"),
        ("cuda:01", "'cuda:01'"),
        ("cuda:٣", "'cuda:٣'"),
        ("cuda:0;cuda:1", "'cuda:0;cuda:1'"),
        ("cuda:1,cpu,cuda:1", "'cuda:1,cpu,cuda:1'"),
        ("all,cpu", "'all,cpu'"),
        ("all,all", "'all,all'"),
    ],
)
def test_another_list_is_refused_by_field_and_value(text: str, value: str):
    with pytest.raises(InvalidInput) as refused:
        parse_devices(text)
    assert refused.value.field == "devices"
    assert refused.value.detail.startswith(f"devices: {value}: ")


def test_without_a_list_there_is_one_worker_as_its_settings_say():
    settings = Settings(device="cuda:3")
    assert compute_workers(settings) == [ComputeWorker("compute", settings)]


def test_one_device_keeps_the_name_and_the_threads(two_gpus: None):
    (only,) = compute_workers(Settings(devices="cuda:1", worker_name="host"))
    assert (only.process, only.name, only.variables) == ("compute", "compute-host", {})
    assert (only.settings.device, only.settings.devices, only.settings.torch_threads) == ("cuda:1", "", 0)


@pytest.mark.parametrize(("cores", "given", "threads"), [(8, 0, 2), (11, 0, 3), (2, 0, 1), (8, 5, 5)])
def test_several_have_names_of_their_own_and_share_the_cores(
    cores: int, given: int, threads: int, two_gpus: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    found = compute_workers(Settings(devices="cpu,cuda:1,cpu", worker_name="host", torch_threads=given))
    assert [one.process for one in found] == ["compute-0", "compute-1", "compute-2"]
    assert [one.name for one in found] == ["compute-host-0", "compute-host-1", "compute-host-2"]
    assert [one.settings.device for one in found] == ["cpu", "cuda:1", "cpu"]
    assert {one.settings.torch_threads for one in found} == {threads}
    assert {one.variables["OMP_NUM_THREADS"] for one in found} == {str(threads)}


def test_all_is_every_gpu_and_a_gpu_beyond_them_is_refused(two_gpus: None, monkeypatch: pytest.MonkeyPatch):
    assert devices("all") == ["cuda:0", "cuda:1"]
    with pytest.raises(InvalidInput, match="'cuda:2': torch sees 2 GPUs"):
        devices("cuda:2,cuda:0")
    monkeypatch.setattr(module, "_count_gpus", lambda: (0, ""))
    with pytest.raises(InvalidInput, match="'all': torch sees no GPU"):
        devices("all")
    monkeypatch.setattr(module, "_count_gpus", lambda: (0, "the driver is too old"))
    with pytest.raises(InvalidInput, match="'all': the driver is too old"):
        devices("all")


@pytest.mark.long  # it loads torch
def test_gpus_are_counted_by_torch_in_a_process_of_its_own():
    assert module._count_gpus()[0] == torch.cuda.device_count()


def test_a_count_that_fails_says_why(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        module, "module_command", lambda _: [sys.executable, "-S", "-c", "raise SystemExit('no torch')"]
    )
    with pytest.raises(StartFailed, match="cannot be counted:\nno torch"):
        devices("all")


def test_a_wrong_device_is_refused_before_anything_starts(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data", port=0, devices="cpu,disk")
    supervisor = Supervisor(settings)
    for start in (supervisor.start, lambda: run_compute_workers(settings)):
        with pytest.raises(InvalidInput, match="devices: 'disk'"):
            start()
    supervisor.stop()
    assert supervisor.children.all == []
    assert not settings.data_dir.exists()


@pytest.mark.parametrize("given", [("train", None, "all"), ("compute", "cpu", "cpu,cpu"), ("query", None, "")])
def test_devices_are_of_the_role_compute_and_without_a_device(given: tuple[str, str | None, str]):
    with pytest.raises(InvalidInput, match="--role compute and without --device"):
        worker(*given)


def test_up_starts_a_worker_for_each_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[Child] = []
    monkeypatch.setattr(Children, "start", lambda _self, children: started.extend(children))
    supervisor = Supervisor(Settings(data_dir=tmp_path, port=0, devices="cpu,cpu", torch_threads=3))
    supervisor.start()
    supervisor.stop()
    assert [child.name for child in started] == ["api", "control", "compute-0", "compute-1", "query"]
    for number, child in enumerate(started[2:4]):
        assert child.command[-4:] == ["--role", "compute", "--process", f"compute-{number}"]
        assert child.log == tmp_path / "logs" / f"compute-{number}.log"
        wanted = {"DEVICE": "cpu", "DEVICES": "", "WORKER_NAME": f"local-{number}", "TORCH_THREADS": "3"}
        assert {name: child.environment[f"RADIUS_{name}"] for name in wanted} == wanted
        assert child.environment["OMP_NUM_THREADS"] == "3"
    assert started[4].environment["RADIUS_WORKER_NAME"] == "local"


@pytest.mark.parametrize(
    ("log", "logs"), [(None, [None, None]), ("gpu.log", ["gpu-compute-0.log", "gpu-compute-1.log"])]
)
def test_without_an_api_they_write_where_their_parent_does_or_beside_its_log(
    log: str | None, logs: list[str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    started: list[Child] = []
    monkeypatch.setattr(Children, "start", lambda _self, children: started.extend(children))
    monkeypatch.setattr(Children, "wait", lambda _self: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    file = None if log is None else tmp_path / log
    run_compute_workers(Settings(data_dir=tmp_path, devices="cpu,cpu", log_file=file))
    assert [child.log and child.log.name for child in started] == logs
    given = [child.environment.get("RADIUS_LOG_FILE") for child in started]
    assert given == [name and str(tmp_path / name) for name in logs]


def test_they_are_healthy_when_each_had_a_heartbeat(settings: Settings, catalog: Catalog):
    several = compute_workers(settings.model_copy(update={"devices": "cpu,cpu"}))
    record_names(settings, several)
    with catalog.begin() as connection:
        workers.seen(connection, "compute-local-1")
    with pytest.raises(Unavailable, match=r"of compute-local-0$"):
        check_health("compute", settings)
    with catalog.begin() as connection:
        workers.seen(connection, "compute-local-0")
    check_health("compute", settings)
    record_names(settings, compute_workers(settings))  # of one alone, which has not begun
    with pytest.raises(Unavailable, match=r"of compute-local$"):
        check_health("compute", settings)


@pytest.mark.parametrize(
    ("given", "cores", "gpu", "expected"),
    [
        ({}, 2, False, "cpu,cpu"),
        ({"device": "cpu"}, 16, True, "cpu,cpu,cpu,cpu"),
        ({}, 1, False, ""),
        ({}, 16, True, ""),
        ({"device": "cuda:1"}, 16, True, ""),
        ({"devices": "cpu,cpu,cpu"}, 2, False, "cpu,cpu,cpu"),
    ],
)
def test_many_small_trainings_get_a_worker_for_each_core(
    given: dict[str, str], cores: int, gpu: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    monkeypatch.setattr(module, "_DRIVER", tmp_path if gpu else tmp_path / "absent")
    assert one_for_each_core(Settings(**given)).devices == expected  # pyright: ignore[reportArgumentType]
