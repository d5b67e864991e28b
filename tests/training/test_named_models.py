"""The model that an extraction names is opened from its folder, or from the run that kept it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from service.contracts.extraction import ExtractionSpec
from service.contracts.run_models import RunModel
from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec
from service.settings import Settings
from tests.tiny import make_gpt2
from workers.models.gpt2 import GPT2
from workers.models.openelm import OpenELM
from workers.training.checkpoints import kept_name, write_model
from workers.training.named_models import load_named_model
from workers.training.windows import WindowTask, prepare_windows

CPU = torch.device("cpu")


def spec_of(model: str) -> ExtractionSpec:
    return ExtractionSpec(model=model, corpus="any", sites=["final_norm_out"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path)
    made.make_folders()
    return made


def test_a_kept_model_is_opened_by_the_digest_of_its_manifest(settings: Settings, tmp_path: Path):
    training = read_spec("training", {"preset": "smoke/f3"})
    assert isinstance(training, OpenELMSpec)
    prepare_windows(training.data, ["the memories of a transformer are patterns. " * 80], None, tmp_path, {})
    task = WindowTask(training, tmp_path, CPU)
    folder = settings.artifacts_root / "run-0a" / kept_name(7)
    folder.mkdir(parents=True)
    sha256 = write_model(folder, task.model, task.about)
    requested: list[RunModel] = []

    def kept_sha256(kept: RunModel) -> str:
        requested.append(kept)
        return sha256

    spec = spec_of("run:run-0a@7")
    loaded = load_named_model(spec, kept_sha256, settings, CPU)
    assert isinstance(loaded.model, OpenELM)
    assert torch.equal(loaded.model.output_weight, task.model.output_weight)
    assert requested == [RunModel("run-0a", 7)]
    low = load_named_model(spec, kept_sha256, settings, CPU, "bfloat16").model
    assert isinstance(low, OpenELM)
    assert low.output_weight.dtype == torch.bfloat16


def test_a_folder_is_opened_without_a_digest(settings: Settings):
    make_gpt2(settings.models_root / "tiny")

    def kept_sha256(kept: RunModel) -> str:
        raise AssertionError(kept)

    loaded = load_named_model(spec_of("tiny"), kept_sha256, settings, CPU)
    assert isinstance(loaded.model, GPT2)
    assert loaded.identity["model"] == "tiny"
