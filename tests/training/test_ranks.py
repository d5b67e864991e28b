"""Two processes train one run: every step equals that of one process up to rounding."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as processes
from safetensors.torch import load_file, save_file

from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec
from workers.training.loop import Experiment, Trainer, TrainingConfig, evaluate
from workers.training.ranks import ALONE, Ranks, own_ranks
from workers.training.sentences import SentenceTask, prepare_sentences
from workers.training.windows import WindowTask, prepare_windows

CPU = torch.device("cpu")
CONFIG = TrainingConfig(steps=20, peak_lr=3e-3, warmup_steps=4, seed=3)
STEPS = 5
OVER: dict[str, dict[str, Any]] = {
    "smoke/f2": {"model": {"dropout": 0.0}, "data": {"train": 400, "val": 20, "test": 20, "generalisation": 21}},
    "smoke/f3": {
        "model": {"attention_dropout": 0.0, "embedding_dropout": 0.0},
        "data": {"validation_windows": 5},
    },
}


def trainer(preset: str, folder: Path, ranks: Ranks, micro: int) -> Trainer[Experiment]:
    spec = read_spec("training", {"preset": preset, "batch": 8, "micro_batch": micro} | OVER[preset])
    if isinstance(spec, QuestionFormationSpec):
        return Trainer(SentenceTask(spec, folder, CPU), CONFIG, ranks)
    assert isinstance(spec, OpenELMSpec)
    return Trainer(WindowTask(spec, folder, CPU), CONFIG, ranks)


def losses_of(made: Trainer[Any]) -> list[float]:
    return [made.advance().loss for _ in range(STEPS)]


def one_rank(rank: int, port: int, preset: str, folder: Path, micro: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": str(rank)}
    os.environ["TORCHELASTIC_RUN_ID"] = "test"
    torch.set_num_threads(1)
    ranks = own_ranks()
    made = trainer(preset, folder, ranks, micro)
    found = losses_of(made)
    measured = evaluate(made)  # each rank alone, on the same windows or lines
    if rank == 0:
        ranks.broadcast({"losses": found, "word": "né"})
    else:
        assert ranks.receive() == {"losses": found, "word": "né"}
    (folder / f"{rank}.json").write_text(json.dumps([found, made.tokens, measured]))
    save_file(made.task.model.state_dict(), folder / f"{rank}.safetensors")
    torch.distributed.barrier()
    os._exit(0)  # the store's own threads race with the end of the interpreter


@pytest.mark.parametrize(("preset", "micro"), [pytest.param("smoke/f2", 4, marks=pytest.mark.long), ("smoke/f3", 2)])
def test_two_ranks_make_the_steps_of_one(preset: str, micro: int, tmp_path: Path):
    spec = read_spec("training", {"preset": preset} | OVER[preset])
    if isinstance(spec, QuestionFormationSpec):
        prepare_sentences(spec, tmp_path, tmp_path)
    else:
        assert isinstance(spec, OpenELMSpec)
        prepare_windows(spec.data, ["memories of a transformer are patterns. " * 200], None, tmp_path, {})
    alone = trainer(preset, tmp_path, ALONE, micro * 2)  # micro-batches of the size that both ranks make together
    expected = losses_of(alone)
    val_loss, details = evaluate(alone)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes.spawn(one_rank, args=(port, preset, tmp_path, micro), nprocs=2)  # pyright: ignore[reportPrivateImportUsage]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first[:2] == [pytest.approx(expected, rel=1e-5), alone.tokens]
    assert first[2] == [pytest.approx(val_loss, rel=1e-5), pytest.approx(details, rel=1e-5)]
    weights, others = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    for name, value in alone.task.model.state_dict().items():
        assert torch.equal(weights[name], others[name]), name
        assert torch.allclose(weights[name], value, atol=2e-4), name


def test_one_process_shares_and_sums_nothing():
    assert ALONE.share([1, 2, 3]) == [1, 2, 3]
    assert ALONE.sum(1.5) == 1.5
    ALONE.broadcast({"to": "nobody"})
