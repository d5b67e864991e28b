"""Question-Formation as a task: generated lines or those of a folder, every kind of loss, the lines evaluated."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from service.contracts.specs import read_spec
from service.contracts.training import PUBLISHED_LINES, QuestionFormationSpec
from service.errors import InvalidInput
from tests.databases.soak import first
from workers.training.loop import Experiment, Trainer, TrainingConfig, evaluate
from workers.training.question_formation import splits
from workers.training.question_formation.grammar import Grammar
from workers.training.question_formation.lexicon import LEXICONS
from workers.training.question_formation.original_files import FILES, Layout
from workers.training.sentences import SentenceTask, describe_sentences, prepare_sentences

CPU = torch.device("cpu")
GRAMMAR = Grammar(LEXICONS["standard"]())
SIZES = splits.SplitSizes(300, 40, 60, 90)
DATA = {"train": 300, "val": 40, "test": 60, "generalisation": 90}


def spec_of(**options: Any) -> QuestionFormationSpec:
    spec = read_spec("training", {"preset": "smoke/f2", "data": DATA} | options)
    assert isinstance(spec, QuestionFormationSpec)
    return spec


def made(spec: QuestionFormationSpec, folder: Path) -> SentenceTask:
    prepare_sentences(spec, folder, folder)
    return SentenceTask(spec, folder, CPU)


def write_files(folder: Path, layout: Layout) -> None:
    """Write small files like the published ones: the generalisation file ends with object relatives only."""
    lines = splits.generate(GRAMMAR, SIZES, 5).named()
    lines["gen"] = tuple(sorted(lines["gen"], key=lambda line: line.sentence.frame.subject.is_object_relative))
    for name, file in FILES[layout].items():
        (folder / file).write_text("".join(f"{line.text}\n" for line in lines[name]))


@pytest.mark.parametrize(("layout", "split", "lines"), [("mccoy", "test", 60), ("murty", "val", 40)])
def test_files_of_a_folder_are_trained_on_and_measured_whole(tmp_path: Path, layout: Layout, split: str, lines: int):
    (tmp_path / "files").mkdir()
    write_files(tmp_path / "files", layout)
    spec = spec_of(data={"folder": "files"}, generalisation_lines=30)
    task = made(spec, tmp_path)
    assert {name: len(found) for name, found in task._lines.items()} == {
        "val": 40,
        "test": 60 if layout == "mccoy" else 0,
        "gen": 90,
    }
    Trainer(task, TrainingConfig(steps=2, peak_lr=1e-3, warmup_steps=1)).advance()
    found = task.final()
    assert found["generalisation"]["all"]["first_word"]["lines"] == 90
    assert {kind: part["first_word"]["lines"] for kind, part in found["generalisation"]["by_clause"].items()}[
        "orc"
    ] == 30
    within = found["in_distribution"]
    assert within["split"] == split
    assert within["exact_quest"]["lines"] + within["exact_decl"]["lines"] == lines
    assert 1 < within["loss"] < 10


def test_an_evaluation_samples_all_of_a_sorted_file(tmp_path: Path):
    (tmp_path / "files").mkdir()
    write_files(tmp_path / "files", "mccoy")
    task = made(spec_of(data={"folder": "files"}, generalisation_lines=45), tmp_path)
    kinds = [line.sentence.frame.subject.is_object_relative for line in task._gen]
    assert len(set(task._gen)) == 45
    assert 8 <= sum(kinds) <= 22  # 15 expected, a prefix has none; the standard deviation is 2.2
    assert SentenceTask(task.spec, tmp_path, CPU)._gen == task._gen
    shared = task.spec.model_copy(update={"seed": 7, "data": task.spec.data.model_copy(update={"seed": 0})})
    assert SentenceTask(shared, tmp_path, CPU)._gen == task._gen  # runs of a sweep are evaluated on the same lines


@pytest.mark.parametrize("loss", first(2, ["declarative", "sum", "line", "output"]))
def test_every_kind_of_loss_is_trained_and_measured(tmp_path: Path, loss: str):
    task = made(spec_of(loss=loss), tmp_path)
    trainer: Trainer[Experiment] = Trainer(task, TrainingConfig(steps=40, peak_lr=5e-3, warmup_steps=5))
    before, _ = evaluate(trainer)
    made_steps = [trainer.advance() for _ in range(40)]
    after, details = evaluate(trainer)
    assert after < before - 0.5
    # the loss in nats of what `loss` counts: at first, that of a uniform guess among 71 ids, or more
    targets = {"line": 1.0, "declarative": 1.0, "output": 1.0, "sum": 23.0}[loss]
    assert 0.7 < made_steps[0].loss / (targets * math.log(71)) < 2
    assert 0.5 < details["train_loss_eval"] / after < 1.5
    parts = {"declarative": details["val_declarative"], "output": details["val_output"]}
    assert loss not in parts or after == pytest.approx(parts[loss], rel=1e-6)
    assert math.isfinite(task.final()["in_distribution"]["loss"])


def test_reference_lines_match_the_kind_of_loss(tmp_path: Path):
    for loss, names in (("line", {"unit", "memorisation"}), ("sum", {"memorisation"}), ("output", {"unit"})):
        prepare_sentences(spec_of(loss=loss), tmp_path / loss, tmp_path)
        found = describe_sentences(tmp_path / loss).reference_lines
        assert set(found) == names | {"grammar_entropy"}
        assert loss != "sum" or found["memorisation"] == pytest.approx(math.log(300))


def test_a_control_is_trained_on_its_own_words(tmp_path: Path):
    spec = read_spec(
        "training", {"preset": "small/f2-one-noun", "data": DATA, "model": {"n_layers": 1, "d_model": 32, "d_mlp": 64}}
    )
    assert isinstance(spec, QuestionFormationSpec)
    task = made(spec, tmp_path)
    assert describe_sentences(tmp_path).reference_lines["grammar_entropy"] < 0.8
    assert task.vocabulary.size < 71
    trainer: Trainer[Experiment] = Trainer(task, TrainingConfig(steps=30, peak_lr=5e-3, warmup_steps=5))
    before, _ = evaluate(trainer)
    for _ in range(30):
        trainer.advance()
    assert evaluate(trainer)[0] < before - 0.5


def test_without_questions_there_is_no_accuracy(tmp_path: Path):
    task = made(spec_of(), tmp_path)
    task._lines["val"] = [line for line in task._lines["val"] if line.task == "decl"]
    _, details = task.evaluate()
    assert "val_first_auxiliary" not in details
    assert "gen_first_word" in details


@pytest.mark.parametrize("field", sorted(PUBLISHED_LINES))
def test_a_number_of_lines_beside_a_folder_is_refused_by_name(field: str):
    for preset in ("smoke/f2", "paper/f2-6l"):
        with pytest.raises(InvalidInput, match="numbers of lines") as caught:
            read_spec("training", {"preset": preset, "data": {"folder": "files", field: PUBLISHED_LINES[field]}})
        assert [error["field"] for error in caught.value.errors] == [f"spec.data.{field}"]
    read = spec_of(data={"folder": "files"})
    assert getattr(read.data, field) is None
    assert read_spec("training", read.model_dump(mode="json")) == read
    paper = read_spec("training", {"preset": "paper/f2-6l"})
    assert isinstance(paper, QuestionFormationSpec)
    assert getattr(paper.data, field) == PUBLISHED_LINES[field]


def test_no_more_lines_are_taken_than_can_be_generated():
    most = splits.MAX_LINES
    read_spec("training", {"preset": "smoke/f2", "data": {"train": most}})
    with pytest.raises(InvalidInput):
        read_spec("training", {"preset": "smoke/f2", "data": {"train": most + 1}})
