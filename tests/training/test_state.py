"""Only the owner of a segment changes the state of a run, and a run resumes from an undamaged state only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from service.catalog.engine import Catalog
from service.errors import CorruptArtifact, StorageFull, Superseded
from service.settings import Settings
from tests.api.products import own_segment
from tests.databases.soak import settings_on
from tests.faults.disk import Disk
from tests.training.segments import TrainingJob, begun, prepared
from workers.flows.training import data as training_data
from workers.flows.training import trainers
from workers.flows.training.arguments import PrepareArguments, RunArguments
from workers.flows.training.log import TrainingLog
from workers.flows.training.segments import prepare_run
from workers.training import checkpoints

SPEC = {
    "preset": "smoke/f2",
    "steps": 12,
    "eval_every": 4,
    "checkpoint_every": 12,
    "log_every": 1,
    "data": {"train": 200, "val": 20, "test": 20, "generalisation": 21},
}


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these short runs, and no test here looks at a figure."""
    monkeypatch.setattr("workers.flows.training.log.draw_training_figure", lambda run, rows, stem: [])


def states(settings: Settings, job: TrainingJob) -> list[str]:
    return sorted(path.name for path in (settings.artifacts_root / job.run).glob("*state-*"))


def until(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make segments end at that step."""
    add = TrainingLog.add

    def counted(log: TrainingLog, made: Any) -> None:
        add(log, made)
        if made.step == step:
            log.owner.runtime.draining.set()

    monkeypatch.setattr(TrainingLog, "add", counted)


@settings_on("postgresql")
def test_segments_of_several_owners_are_the_unbroken_run(settings: Settings, catalog: Catalog):
    whole, parts = (prepared(settings, catalog, SPEC) for _ in range(2))
    assert whole.train(whole.own()) == 12
    for part, step in enumerate((3, 9)):
        with pytest.MonkeyPatch.context() as patch:
            until(patch, step)
            assert parts.train(parts.own(part)) == step
            assert states(settings, parts) == [parts.state().file]
    assert parts.train(parts.own(2)) == 12
    assert parts.rows() == whole.rows()
    assert len(whole.rows()) == 12
    assert parts.state().sha256 == whole.state().sha256
    assert states(settings, parts) == [parts.state().file]


@pytest.mark.long
def test_the_next_segment_of_a_worker_reuses_its_trainer(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    brief = settings.model_copy(update={"training_segment_s": 1e-6})
    whole = prepared(settings, catalog, SPEC)
    parts, others = (prepared(brief, catalog, SPEC) for _ in range(2))
    loaded: list[str] = []

    def load_state(folder: Path, state: checkpoints.SavedState, trainer: Any) -> None:
        loaded.append(state.file)
        checkpoints.load_state(folder, state, trainer)

    monkeypatch.setattr(trainers, "load_state", load_state)
    assert whole.train(whole.own()) == 12
    for step in range(1, 13):
        assert parts.train(parts.own(step), step - 1) == step
    assert loaded == []
    assert parts.rows() == whole.rows()
    assert parts.state().sha256 == whole.state().sha256
    others.train(others.own(1))
    parts.finish()  # a segment of another run: the kept trainer is removed
    others.train(others.own(2), 1)
    assert len(loaded) == 2


@settings_on("postgresql")
def test_an_owner_that_was_replaced_changes_nothing(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    job = prepared(settings, catalog, SPEC)
    first, save_state = job.own(), checkpoints.save_state

    def frozen(path: Path, trainer: Any) -> checkpoints.SavedState:
        """Meanwhile another one takes the segment and trains it to its end; then this one wakes."""
        monkeypatch.setattr("workers.flows.training.log.save_state", save_state)
        job.train(job.own())
        with torch.no_grad():
            next(trainer.task.model.parameters()).add_(1.0)  # another device gives other numbers
        return save_state(path, trainer)

    monkeypatch.setattr("workers.flows.training.log.save_state", frozen)
    with pytest.raises(Superseded):
        job.train(first)
    recorded = job.state()
    assert recorded.file.startswith("state-00000012-train-00000-0002")
    assert checkpoints.sha256_file(settings.artifacts_root / job.run / recorded.file) == recorded.sha256
    assert [row.step for row in job.rows()] == list(range(1, 13))
    assert job.finish().step == 12


@settings_on("postgresql")
@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_damaged_or_missing_state_is_detected(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, damage: str
):
    job = prepared(settings, catalog, SPEC)
    until(monkeypatch, 5)
    job.train(job.own())
    path = settings.artifacts_root / job.run / job.state().file
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.unlink()
    if damage == "flipped":
        path.write_bytes(content)
    for go_on in (lambda: job.train(job.own(1), 5), job.finish):
        with pytest.raises(CorruptArtifact, match="the state of a run"):
            go_on()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)  # the database has no share in it
@pytest.mark.parametrize("checkpoint_every", [pytest.param(3, marks=pytest.mark.long), 12])
def test_a_full_disk_is_named_and_the_run_goes_on_after_it(settings: Settings, catalog: Catalog, checkpoint_every: int):
    """What is written first is a kept model or a state. The library's error for a full disk is no `OSError`."""
    settings.artifacts_root.mkdir(parents=True, exist_ok=True)
    disk = Disk(settings.artifacts_root)
    if not disk.mounted:
        pytest.skip("a small disk can be mounted by root only")
    try:
        whole, job = (prepared(settings, catalog, SPEC | {"checkpoint_every": checkpoint_every}) for _ in range(2))
        whole.train(whole.own())
        with disk.full(0), pytest.raises(StorageFull, match="no space left"):
            job.train(job.own())
        assert not [path for path in settings.artifacts_root.rglob(".*tmp*") if path.is_file()]
        assert job.train(job.own()) == 12
        assert job.state().sha256 == whole.state().sha256
    finally:
        disk.unmount()


@settings_on("postgresql")
def test_data_of_a_replaced_owner_do_not_block_the_next_one(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    make = training_data.prepare_sentences
    job, spec = begun(catalog, SPEC)
    arguments = PrepareArguments(spec=spec)
    first, seen = own_segment(settings, catalog, job, "prepare"), list[str]()

    def frozen(spec: Any, folder: Path, *given: Any) -> None:
        """It stops in the middle of its files; the other owner finishes; it continues."""
        monkeypatch.setattr(training_data, "prepare_sentences", make)
        (folder / "train.txt").write_text("half of a li")
        seen.append(prepare_run(arguments, own_segment(settings, catalog, job, "prepare")).run)
        folder.mkdir(exist_ok=True)  # the other owner has removed it
        (folder / "val.txt").write_text("half of a li")

    monkeypatch.setattr(training_data, "prepare_sentences", frozen)
    with pytest.raises(Superseded):
        prepare_run(arguments, first)
    data = settings.artifacts_root / seen[0] / "data"
    assert "half of a li" not in {path.read_text() for path in data.glob("*.txt")}
    run = RunArguments(spec=spec, run=seen[0], data=seen[0])
    assert TrainingJob(settings, catalog, job, run).train(own_segment(settings, catalog, job, "train-00000"))
