"""The training loop: a resumed run is bit for bit the uninterrupted one; micro-batches change gradients by rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec
from service.errors import NonFiniteData
from workers.training.checkpoints import load_state, load_weights, read_kept, save_state, write_model
from workers.training.loop import Experiment, Trainer, TrainingConfig, evaluate, learning_rate
from workers.training.sentences import SentenceTask, prepare_sentences
from workers.training.windows import WindowTask, prepare_windows

CONFIG = TrainingConfig(steps=20, peak_lr=3e-3, warmup_steps=4, seed=3)
CPU = torch.device("cpu")
TEXT = "the memories of a transformer are patterns, and each block looks for the nearest of them. " * 60


@pytest.fixture(scope="module", params=["smoke/f2", "smoke/f3"])
def make_task(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A function that makes a new experiment of a preset, on data prepared once; dropout is on in both presets."""
    folder = tmp_path_factory.mktemp("data")
    spec = read_spec("training", {"preset": request.param})
    if isinstance(spec, QuestionFormationSpec):
        prepare_sentences(spec, folder, folder)
        return lambda micro: SentenceTask(spec.model_copy(update={"micro_batch": micro}), folder, CPU)
    assert isinstance(spec, OpenELMSpec)
    prepare_windows(spec.data, [TEXT] * 3, None, folder, {})
    return lambda micro: WindowTask(spec.model_copy(update={"micro_batch": micro}), folder, CPU)


def losses(trainer: Trainer[Experiment], steps: int) -> list[float]:
    return [trainer.advance().loss for _ in range(steps)]


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(make_task, tmp_path: Path):
    uninterrupted = Trainer(make_task(4), CONFIG)
    expected = losses(uninterrupted, 12)
    first = Trainer(make_task(4), CONFIG)
    before = losses(first, 5)
    saved = save_state(tmp_path / "state", first)
    torch.manual_seed(99)  # another process has another state of the generator
    second = Trainer(make_task(4), CONFIG)
    load_state(tmp_path, saved, second)
    assert (second.step, second.tokens) == (5, first.tokens)
    assert before + losses(second, 7) == expected
    for name, value in uninterrupted.task.model.state_dict().items():
        assert torch.equal(value, second.task.model.state_dict()[name]), name


def test_a_trainer_moved_to_another_step_continues_from_there(make_task, tmp_path: Path):
    """A batch is drawn before its step; one that was drawn for another step is not used."""
    first, elsewhere = Trainer(make_task(4), CONFIG), Trainer(make_task(4), CONFIG)
    losses(first, 2)
    saved = save_state(tmp_path / "state", first)
    losses(elsewhere, 7)
    load_state(tmp_path, saved, elsewhere)
    assert losses(elsewhere, 3) == losses(first, 3)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # raised by torch.compile
def test_compiled_blocks_make_the_same_steps(make_task):
    plain, compiled = (Trainer(make_task(None), CONFIG) for _ in range(2))
    names = list(compiled.task.model.state_dict())
    graphs: list[torch.fx.GraphModule] = []

    def captured(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]):
        """Run the graph in PyTorch, without a C++ compiler."""
        graphs.append(graph)
        return graph.forward

    compiled.task.model.compile_blocks(captured)
    assert losses(compiled, 3) == pytest.approx(losses(plain, 3), rel=1e-6)
    assert list(compiled.task.model.state_dict()) == names
    assert graphs


def test_micro_batches_change_a_step_by_rounding_only(make_task):
    whole, parts = make_task(None), make_task(4)
    for task in (whole, parts):
        task.model.eval()
        batches = task.micro_batches(0)
        targets = sum(task.targets(batch) for batch in batches)
        for batch in batches:
            task.loss(batch, 1 / targets).backward()
    for (name, one), (_, other) in zip(whole.model.named_parameters(), parts.model.named_parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6, msg=name)


@pytest.fixture(scope="module")
def make_padded(tmp_path_factory: pytest.TempPathFactory):
    """A function that makes an OpenELM of width 24 with a given `width_multiple` and without dropout."""
    folder = tmp_path_factory.mktemp("data")
    model = {"d_model": 24, "attention_dropout": 0.0, "embedding_dropout": 0.0}
    spec = read_spec("training", {"preset": "smoke/f3", "model": model})
    assert isinstance(spec, OpenELMSpec)
    prepare_windows(spec.data, [TEXT] * 3, None, folder, {})
    return lambda width: WindowTask(spec, folder, CPU, width_multiple=width)


@pytest.mark.parametrize(("one", "other"), [(64, 1), (1, 64)])
def test_a_run_resumes_with_another_stored_width(make_padded, tmp_path: Path, one: int, other: int):
    """Padding changes only the order of sums in products: by a relative 1e-7 a step, which Adam can amplify."""
    uninterrupted = Trainer(make_padded(one), CONFIG)
    losses(uninterrupted, 4)
    saved = save_state(tmp_path / "state", uninterrupted)
    moved, back = Trainer(make_padded(other), CONFIG), Trainer(make_padded(one), CONFIG)
    load_state(tmp_path, saved, moved)
    assert save_state(tmp_path / "again", moved).sha256 == saved.sha256
    load_state(tmp_path, saved, back)
    for name, value in uninterrupted.task.model.state_dict().items():
        assert torch.equal(value, back.task.model.state_dict()[name]), name
    expected = losses(uninterrupted, 8)
    assert losses(back, 8) == expected
    assert losses(moved, 8) == pytest.approx(expected, rel=1e-5)


def test_a_model_is_kept_without_padding(make_padded, tmp_path: Path):
    kept = [make_padded(width) for width in (64, 1)]
    first, second = (write_model(tmp_path / str(at), task.model, task.about) for at, task in enumerate(kept))
    assert first == second
    weights, _ = read_kept(tmp_path / "0", first)
    wide = make_padded(64)
    load_weights(wide.model, weights)
    for name, value in kept[0].model.state_dict().items():
        assert torch.equal(wide.model.state_dict()[name], value), name


def test_training_lowers_the_loss(make_task):
    trainer = Trainer(make_task(None), TrainingConfig(steps=30, peak_lr=1e-2, warmup_steps=5))
    before, _ = trainer.task.evaluate()
    losses(trainer, 30)
    after, details = trainer.task.evaluate()
    assert after < before - 0.5
    assert all(value >= 0 for value in details.values())


def test_a_gradient_that_is_not_finite_moves_no_weight(make_task):
    trainer = Trainer(make_task(4), CONFIG)
    losses(trainer, 2)
    before = {name: value.clone() for name, value in trainer.task.model.state_dict().items()}
    trainer.task.model.output_weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NonFiniteData, match="norm of the gradient is not finite at step 3"):
        trainer.advance()
    for name, value in trainer.task.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_model_whose_validation_loss_is_not_finite_is_refused(make_task):
    trainer = Trainer(make_task(None), CONFIG)
    with torch.no_grad():
        next(trainer.task.model.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteData, match="val_loss is not finite at step 0"):
        evaluate(trainer)


def test_a_run_is_evaluated_in_the_precision_of_its_training(make_task):
    low, plain = (Trainer(make_task(None), replace(CONFIG, bfloat16=given)) for given in (True, False))
    seen = []
    for trainer in (low, plain):
        part = next(module for module in trainer.task.model.modules() if isinstance(module, nn.Linear))
        part.register_forward_hook(lambda _, __, made: seen.append(made.dtype))
        evaluate(trainer)
    assert set(seen[: len(seen) // 2]) == {torch.bfloat16}
    assert set(seen[len(seen) // 2 :]) == {torch.float32}


def test_a_step_reads_the_device_once(make_task, monkeypatch: pytest.MonkeyPatch):
    """`item` and `tolist` wait for a GPU to finish; micro-batches must not."""
    trainer, read = Trainer(make_task(4), CONFIG), []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: read.append(tensor.shape) or tolist(tensor))
    assert len(trainer.task.micro_batches(0)) > 1
    trainer.advance()
    assert read == [(3,)]


def test_a_kept_model_is_the_model(make_task, tmp_path: Path):
    trainer = Trainer(make_task(None), CONFIG)
    losses(trainer, 2)
    sha256 = write_model(tmp_path / "step-2", trainer.task.model, trainer.task.about)
    assert write_model(tmp_path / "step-2", trainer.task.model, trainer.task.about) == sha256  # written again
    weights, about = read_kept(tmp_path / "step-2", sha256)
    assert about["config"]["d_model"] == 32
    for name, value in trainer.task.model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_the_schedules():
    assert [learning_rate(step, CONFIG) for step in (0, 3)] == [3e-3 / 4, 3e-3]
    assert learning_rate(20, CONFIG) == pytest.approx(3e-4)
    constant = TrainingConfig(steps=20, peak_lr=1.0, warmup_steps=0, schedule="constant")
    assert learning_rate(19, constant) == 1.0
    linear = TrainingConfig(
        steps=20, peak_lr=1.0, warmup_steps=0, schedule="linear", decay_steps=100, final_lr_share=0.0
    )
    assert learning_rate(25, linear) == pytest.approx(0.75)


def test_the_loss_of_the_first_micro_batch_beside_that_of_the_batch(make_task):
    """Equal where the batch is one micro-batch; else the mean over targets of that micro-batch alone."""
    whole, parts = Trainer(make_task(None), CONFIG), Trainer(make_task(4), CONFIG)
    made = whole.advance()
    assert made.first_loss == pytest.approx(made.loss, rel=1e-6)
    first, *others = parts.task.micro_batches(0)
    made = parts.advance()
    assert others
    assert made.first_loss != made.loss
    alone = Trainer(make_task(4), CONFIG)
    alone.task.micro_batches = lambda step, seeding=0: [first]  # pyright: ignore[reportAttributeAccessIssue]
    assert alone.advance().loss == pytest.approx(made.first_loss, rel=1e-5)
