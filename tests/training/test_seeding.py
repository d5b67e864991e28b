"""Seeds that differ give different streams, also beyond 32 bits; a run keeps the rule that it began under."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec
from service.errors import UnsupportedSpec
from tests.tiny import english
from workers.devices.seeding import Purpose, seed_sequence, torch_seed
from workers.energy.curvature import curvatures
from workers.energy.patterns import prepare_patterns
from workers.models.openelm import OpenELM
from workers.models.sentence_decoder import SentenceDecoder
from workers.neighbors.stored import StoredRows
from workers.training.checkpoints import load_state, save_state, sha256_file
from workers.training.loop import Experiment, Trainer, TrainingConfig
from workers.training.seeding import seed_dropout
from workers.training.sentences import SentenceTask, prepare_sentences
from workers.training.small_gpt2 import CONFIG as SMALL_GPT2
from workers.training.small_gpt2 import train_small_gpt2
from workers.training.windows import WindowTask, prepare_windows

CPU = torch.device("cpu")
SEEDS = [0, 1, 2, 2**32, 2**32 + 1, 7 * 2**32, 2**63 - 1]
CONFIG = TrainingConfig(steps=20, peak_lr=3e-3, warmup_steps=4)
TEXT = "the memories of a transformer are patterns, and each block looks for the nearest of them. " * 60
# The losses of the first six steps by the code before seeds were hashed, on a CPU.
SHIFTED = {
    ("smoke/f2", 3): [4.4833283, 4.6041732, 4.3950953, 4.3889761, 4.4879127, 4.3483176],
    ("smoke/f2", 2**32 + 3): [4.6094241, 4.4429369, 4.450901, 4.4585962, 4.4507284, 4.3577147],
    ("smoke/f3", 3): [5.5200624, 5.4789009, 5.3643603, 5.2365837, 5.090806, 4.9431396],
    ("smoke/f3", 2**32 + 3): [5.5268331, 5.4701605, 5.3855605, 5.2362084, 5.1042714, 4.9677486],
}
OWN = {"smoke/f2": {"data": {"seed": 3}}, "smoke/f3": {"model": {"n_ctx": 32}}}
MakeTask = Callable[[int], SentenceTask | WindowTask]


@pytest.fixture(scope="module", params=["smoke/f2", "smoke/f3"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, MakeTask]:
    """A preset, and a function that makes its experiment of a seed, on the same data for all seeds."""
    folder, preset = tmp_path_factory.mktemp("data"), request.param
    spec = read_spec("training", {"preset": preset, "batch": 8, "micro_batch": None} | OWN[preset])
    if isinstance(spec, QuestionFormationSpec):
        prepare_sentences(spec, folder, folder)
        return preset, lambda seed: SentenceTask(spec.model_copy(update={"seed": seed}), folder, CPU)
    assert isinstance(spec, OpenELMSpec)
    prepare_windows(spec.data, [TEXT] * 3, None, folder, {})
    return preset, lambda seed: WindowTask(spec.model_copy(update={"seed": seed}), folder, CPU)


def batch(task: SentenceTask | WindowTask, step: int) -> list[int]:
    (whole,) = task.micro_batches(step)
    return (whole if isinstance(whole, torch.Tensor) else whole.inputs).flatten().tolist()


def weights(task: SentenceTask | WindowTask) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.model.parameters()])


def test_every_seed_step_and_rank_has_a_dropout_mask_of_its_own():
    masks = set[tuple[float, ...]]()
    places = list(itertools.product(SEEDS, (0, 1, 2**24), (0, 1)))
    for seed, step, rank in places:
        seed_dropout("hashed", seed, step, rank)
        masks.add(tuple(torch.nn.functional.dropout(torch.ones(64), 0.5).tolist()))
    assert len(masks) == len(places)


def test_the_dropout_of_a_run_depends_on_its_seed(made: tuple[str, MakeTask]):
    """The same weights and the same first batch; only the masks differ."""
    losses = [new(made[1](0), seed).advance().loss for seed in (0, 1, 2, 2**32)]
    assert len(set(losses)) == 4


def test_initial_weights_of_every_seed_differ(made: tuple[str, MakeTask]):
    drawn = [weights(made[1](seed)) for seed in SEEDS]
    assert torch.equal(drawn[0], weights(made[1](0)))
    for one, other in itertools.combinations(drawn, 2):
        assert (one != other).sum() > len(one) / 2


def test_the_first_batch_of_a_large_seed_is_no_later_one_of_a_small_seed(made: tuple[str, MakeTask]):
    preset, make = made
    second = 1 if preset == "smoke/f3" else 2_000 // 8  # the first step of the second epoch
    assert batch(make(2**32), 0) != batch(make(0), second)
    assert batch(make(2**32), 0) != batch(make(0), 0)


def test_numpy_streams_of_different_seeds_and_places_differ():
    found = {
        tuple(seed_sequence(seed, place).generate_state(4)) for seed, place in itertools.product(SEEDS, [0, 1, 2, 7])
    }
    assert len(found) == 4 * len(SEEDS)
    for place in (0, 1, 7):  # the streams that small seeds always had
        expected = np.random.SeedSequence([5, place]).generate_state(4)
        assert seed_sequence(5, place).generate_state(4).tolist() == expected.tolist()


def test_the_low_bits_of_torch_seeds_differ():
    found = {torch_seed(seed, purpose) % 2**32 for seed, purpose in itertools.product(SEEDS, Purpose)}
    assert len(found) == len(SEEDS) * len(Purpose)


def test_the_small_gpt2_of_a_seed_beyond_32_bits_is_another(tmp_path: Path):
    config = replace(SMALL_GPT2, steps=0)
    for seed in (0, 2**32):
        train_small_gpt2(english(2), tmp_path / str(seed), seed=seed, config=config)
    first, second = (load_file(tmp_path / str(seed) / "model.safetensors") for seed in (0, 2**32))
    name = "transformer.wte.weight"
    assert (first[name] != second[name]).sum() > first[name].numel() / 2


def test_power_iteration_starts_elsewhere_for_a_seed_beyond_32_bits():
    rows = np.random.default_rng(0).standard_normal((50, 6))
    patterns = prepare_patterns(StoredRows(rows))
    first, second = (curvatures(patterns, rows[:3], 0.1, "energy", sweeps=1, seed=seed) for seed in (0, 2**32))
    assert (first.values != second.values).all()


def new(task: SentenceTask | WindowTask, seed: int = 0) -> Trainer[Experiment]:
    return Trainer(task, replace(CONFIG, seed=seed))


def shifted(task: SentenceTask | WindowTask, seed: int) -> Trainer[Experiment]:
    """The trainer of a run that began before seeds were hashed: its weights were drawn by torch from the bare seed."""
    torch.manual_seed(seed)
    drawn = SentenceDecoder(task.model.config) if isinstance(task, SentenceTask) else OpenELM(task.config)
    task.model.load_state_dict(drawn.state_dict())
    trainer = new(task, seed)
    trainer.seeding = "shifted"
    return trainer


@pytest.mark.parametrize("seed", [pytest.param(3, marks=pytest.mark.long), 2**32 + 3])
def test_a_state_of_the_old_seeding_goes_on_under_it(made: tuple[str, MakeTask], tmp_path: Path, seed: int):
    preset, make = made
    whole, first = (shifted(make(seed), seed) for _ in range(2))
    expected = [whole.advance().loss for _ in range(6)]
    before = [first.advance().loss for _ in range(4)]
    saved = save_state(tmp_path / "state", first)
    with safe_open(tmp_path / "state", "pt") as file:  # exactly what that code wrote
        assert file.metadata() == {"step, tokens": json.dumps([4, first.tokens])}
    resumed = new(make(seed), seed)
    load_state(tmp_path, saved, resumed)
    assert before + [resumed.advance().loss for _ in range(2)] == expected
    assert save_state(tmp_path / "a", resumed).sha256 == save_state(tmp_path / "b", whole).sha256
    assert expected == pytest.approx(SHIFTED[preset, seed], rel=2e-6)  # torch's kernels differ between processors


def test_a_state_says_which_rule_seeds_the_run(made: tuple[str, MakeTask], tmp_path: Path):
    """The code before cannot read such a state, so it cannot go on under its own rule."""
    trainer, resumed = (new(made[1](0)) for _ in range(2))
    saved = save_state(tmp_path / "state", trainer)
    with safe_open(tmp_path / "state", "pt") as file:
        assert json.loads(file.metadata()["step, tokens"]) == [0, 0, "hashed"]
    resumed.seeding = "shifted"
    load_state(tmp_path, saved, resumed)
    assert resumed.seeding == "hashed"


def test_a_state_of_an_unknown_rule_is_refused(made: tuple[str, MakeTask], tmp_path: Path):
    trainer = new(made[1](0))
    saved = save_state(tmp_path / "state", trainer)
    tensors, metadata = load_file(tmp_path / "state"), {"step, tokens": json.dumps([0, 0, "later"])}
    save_file(tensors, tmp_path / "state", metadata)
    with pytest.raises(UnsupportedSpec, match="seeded by a rule of another version"):
        load_state(tmp_path, replace(saved, sha256=sha256_file(tmp_path / "state")), trainer)
