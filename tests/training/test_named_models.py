"""The model that an extraction names is opened from its folder, or from the run that kept it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from service.contracts.extraction import ExtractionSpec
from service.contracts.run_models import RunModel
from service.contracts.sites import parse_site
from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec
from service.errors import InvalidInput
from service.settings import Settings
from tests.tiny import make_gpt2
from workers.activations.extraction import extract
from workers.activations.parity import plain_deviations
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


def test_one_bos_token_precedes_each_sequence_and_is_not_counted(settings: Settings):
    folder = make_gpt2(settings.models_root / "tiny")
    (folder / "tokenizer_config.json").write_text('{"bos_token": "<|endoftext|>"}')
    spec = spec_of("tiny").model_copy(update={"bos": "model"})
    plain = load_named_model(spec_of("tiny"), lambda kept: "", settings, CPU)
    found = load_named_model(spec, lambda kept: "", settings, CPU)
    bos = plain.tokenizer.token_to_id("<|endoftext|>")
    assert bos is not None
    assert found.identity == plain.identity | {"bos": {"id": bos, "token": "<|endoftext|>"}}
    assert found.model.sizes.n_ctx == plain.model.sizes.n_ctx - 1
    site, text = parse_site("final_norm_out", 3), torch.tensor([[5, 6, 7], [8, 9, 10]])
    whole = plain.model.read(torch.cat([torch.full((2, 1), bos), text], dim=1), [site])[site]
    assert torch.equal(found.model.read(text, [site])[site], whole[:, 1:])
    first = extract(found.model, [row.numpy() for row in text], [site], 0, token_budget=64).vectors[site]
    assert torch.allclose(torch.from_numpy(first), whole[:, 1], rtol=1e-5, atol=1e-5)
    stored = {site: first}
    deviation = plain_deviations(found.model, [row.numpy() for row in text], 0, stored)
    assert deviation is not None
    assert deviation[site].max_relative_deviation < 1e-5


@pytest.mark.parametrize(
    "files", [{}, {"tokenizer_config.json": '{"bos_token": null}'}, {"tokenizer_config.json": "["}]
)
def test_a_model_without_bos_token_is_refused(settings: Settings, files: dict[str, str]):
    folder = make_gpt2(settings.models_root / "tiny")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(InvalidInput, match="has no BOS token") as caught:
        load_named_model(spec_of("tiny").model_copy(update={"bos": "model"}), lambda kept: "", settings, CPU)
    assert caught.value.field == "spec.bos"


def test_a_folder_is_opened_without_a_digest(settings: Settings):
    make_gpt2(settings.models_root / "tiny")

    def kept_sha256(kept: RunModel) -> str:
        raise AssertionError(kept)

    loaded = load_named_model(spec_of("tiny"), kept_sha256, settings, CPU)
    assert isinstance(loaded.model, GPT2)
    assert loaded.identity["model"] == "tiny"
