"""Kept models, as extraction reads them, give the vectors and tokens of the trained model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.contracts.run_models import RunModel, parse_run_model
from service.contracts.sites import parse_site
from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec
from service.errors import Conflict, CorruptArtifact, InvalidInput
from workers.models.loading import load_tokenizer, tokenizer_hashes
from workers.models.prefixed import PrefixedModel
from workers.training.checkpoints import kept_name, write_model
from workers.training.kept import byte_tokenizer, load_kept, word_tokenizer
from workers.training.sentences import SentenceTask, prepare_sentences
from workers.training.windows import WindowTask, prepare_windows

CPU = torch.device("cpu")
NAME = RunModel("run-0a", 7)
TEXT = "naïve café: 東京, the memories of a transformer\n\tare patterns. " * 80


def keep(task: SentenceTask | WindowTask, root: Path) -> str:
    folder = root / NAME.run / kept_name(7)
    folder.mkdir(parents=True)
    return write_model(folder, task.model, task.about)


def test_an_openelm_is_read_as_it_was_trained(tmp_path: Path):
    spec = read_spec("training", {"preset": "smoke/f3"})
    assert isinstance(spec, OpenELMSpec)
    prepare_windows(spec.data, [TEXT], None, tmp_path, {})
    task = WindowTask(spec, tmp_path, CPU)
    loaded = load_kept(NAME, keep(task, tmp_path), tmp_path, tmp_path, CPU, "float32")
    tokens = torch.tensor([loaded.tokenizer.encode("the memories", add_special_tokens=False).ids])
    assert tokens.tolist() == [list(b"the memories")]
    site = parse_site("blocks.-1.hook_resid_post", 2)
    assert torch.equal(loaded.model.read(tokens, [site])[site], task.model.read(tokens, [site])[site])
    assert loaded.model.read(tokens, [site])[site].shape == (1, 12, 32)
    assert loaded.identity["model"] == "run:run-0a@7"


def test_a_kept_model_is_used_with_the_tokenizer_it_was_trained_with(tmp_path: Path, tiny_model: Path):
    folder = Path(shutil.copytree(tiny_model, tmp_path / "tiny"))
    given = read_spec("training", {"preset": "smoke/f3"})
    assert isinstance(given, OpenELMSpec)
    spec = given.model_copy(update={"data": given.data.model_copy(update={"tokenizer": "tiny"})})
    place = ("tiny", None, tmp_path)
    prepare_windows(spec.data, [TEXT], load_tokenizer(*place), tmp_path, {}, tokenizer_sha256=tokenizer_hashes(*place))
    task = WindowTask(spec, tmp_path, CPU)
    sha256 = keep(task, tmp_path)
    text = "the memories"
    expected = load_tokenizer(*place).encode(text).ids
    assert load_kept(NAME, sha256, tmp_path, tmp_path, CPU, "float32").tokenizer.encode(text).ids == expected
    about = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(about | {"normalizer": {"type": "Lowercase"}}))
    load_kept.cache_clear()
    with pytest.raises(Conflict, match="tokenizer has changed"):
        load_kept(NAME, sha256, tmp_path, tmp_path, CPU, "float32")


def test_a_decoder_of_lines_reads_every_sequence_after_the_start_token(tmp_path: Path):
    spec = read_spec("training", {"preset": "smoke/f2"})
    assert isinstance(spec, QuestionFormationSpec)
    prepare_sentences(spec, tmp_path, tmp_path)
    task = SentenceTask(spec, tmp_path, CPU)
    loaded = load_kept(NAME, keep(task, tmp_path), tmp_path, tmp_path, CPU, "float32")
    (line,) = task.sample(1, 0)
    words = " ".join(task.vocabulary.word(int(token)) for token in line[1:])
    tokens = torch.tensor([loaded.tokenizer.encode(words, add_special_tokens=False).ids])
    assert tokens.tolist() == [line[1:].tolist()]
    site = parse_site("final_norm_out", 1)
    whole = task.model.read(torch.from_numpy(line)[None], [site])[site]
    assert torch.equal(loaded.model.read(tokens, [site])[site], whole[:, 1:])
    assert loaded.model.sizes.n_ctx == task.model.sizes.n_ctx - 1


@pytest.mark.parametrize("preset", ["smoke/f2", "smoke/f3"])
def test_positions_stay_exact_in_a_model_of_low_precision(preset: str, tmp_path: Path):
    spec = read_spec("training", {"preset": preset})
    if isinstance(spec, QuestionFormationSpec):
        prepare_sentences(spec, tmp_path, tmp_path)
        task = SentenceTask(spec, tmp_path, CPU)
    else:
        assert isinstance(spec, OpenELMSpec)
        prepare_windows(spec.data, [TEXT], None, tmp_path, {})
        task = WindowTask(spec, tmp_path, CPU)
    load_kept.cache_clear()
    loaded = load_kept(NAME, keep(task, tmp_path), tmp_path, tmp_path, CPU, "bfloat16").model
    made: Any = loaded.model if isinstance(loaded, PrefixedModel) else loaded
    assert {parameter.dtype for parameter in made.parameters()} == {torch.bfloat16}
    for (name, table), (_, own) in zip(made.named_buffers(), task.model.named_buffers(), strict=True):
        assert torch.equal(table, own), name
    site = parse_site("final_norm_out", 2 if preset == "smoke/f3" else 1)
    tokens = torch.arange(1, 13)[None]
    low, exact = loaded.read(tokens, [site])[site], task.model.read(tokens, [site])[site]
    assert low.dtype == torch.bfloat16
    assert low.shape == exact.shape


def test_the_byte_tokenizer_gives_the_offset_of_each_token():
    found = byte_tokenizer().encode(TEXT, add_special_tokens=False)
    assert bytes(found.ids) == TEXT.encode()
    assert byte_tokenizer().decode(found.ids) == TEXT
    at = TEXT.index("é:")
    first = len(TEXT[:at].encode())
    assert [found.offsets[place] for place in (first, first + 1)] == [(at, at + 1)] * 2


def test_an_unknown_word_is_padding():
    found = word_tokenizer(["a", "walrus"]).encode("a walrus yodels", add_special_tokens=False)
    assert found.ids == [1, 2, 0]


def test_a_changed_byte_is_detected(tmp_path: Path):
    spec = read_spec("training", {"preset": "smoke/f3"})
    assert isinstance(spec, OpenELMSpec)
    prepare_windows(spec.data, [TEXT], None, tmp_path, {})
    sha256 = keep(WindowTask(spec, tmp_path, CPU), tmp_path)
    weights = tmp_path / NAME.run / kept_name(7) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CorruptArtifact):
        load_kept(NAME, sha256, tmp_path, tmp_path, CPU, "float32")


@pytest.mark.parametrize("name", ["run:", "run:x", "run:run-1@", "run:run-1@x", "run:../run-1", "run:run-1@1/.."])
def test_invalid_names_of_kept_models_are_refused(name: str):
    with pytest.raises(InvalidInput):
        parse_run_model(name)


def test_names_of_kept_models_round_trip():
    assert parse_run_model("openai-community/gpt2") is None
    for name in ("run:run-0a", "run:run-0a@12"):
        assert str(parse_run_model(name)) == name


def test_a_fixed_sample_is_the_same_every_time_and_does_not_overlap(tmp_path: Path):
    spec = read_spec("training", {"preset": "smoke/f3"})
    assert isinstance(spec, OpenELMSpec)
    prepare_windows(spec.data, [TEXT], None, tmp_path, {})
    task = WindowTask(spec, tmp_path, CPU)
    first, again = task.sample(10, 16), task.sample(10, 16)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    tail = bytes(TEXT.encode())[-len(first) * 200 :]
    assert all(bytes(window.tolist()) in tail + b"\0" for window in first)
    with pytest.raises(InvalidInput, match="context is 32"):
        task.sample(10, 33)
