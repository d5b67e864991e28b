"""Windows of a token array: those of an evaluation, the tokens of documents, and the record of both in a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from service.catalog import corpora, jobs, training
from service.catalog.engine import Catalog
from service.contracts.corpora import CorpusSource
from service.contracts.specs import read_spec
from service.contracts.sweeps import SweepSpec
from service.contracts.training import OpenELMSpec
from service.errors import Cancelled, InvalidInput
from service.ids import derived_id
from service.settings import Settings
from tests.api.products import own_segment
from tests.databases.soak import settings_on
from tests.training.segments import begun, prepared
from workers.flows.training.arguments import PrepareArguments, PrepareSweepArguments
from workers.flows.training.segments import prepare_run
from workers.flows.training.sweep import prepare_sweep
from workers.training.data import spread_starts
from workers.training.loop import Trainer, TrainingConfig
from workers.training.tokenising import first_words, token_arrays
from workers.training.windows import WindowTask, prepare_windows

CPU = torch.device("cpu")
BOOKS = {"PG10_tokens.txt": "call\nme\nishmael\n" * 60, "PG2_tokens.txt": "the\ncat\nsat\n" * 40}


@pytest.mark.parametrize(("length", "window", "count"), [(1_000, 8, 10), (1_000, 8, 10_000), (9, 8, 3), (81, 8, 10)])
def test_windows_are_spread_over_the_whole_array_and_do_not_overlap(length: int, window: int, count: int):
    starts, places = spread_starts(length, window, count), (length - 1) // window
    assert len(starts) == min(count, places)
    assert (np.diff(starts) >= window).all()
    assert starts[0] == 0
    assert starts[-1] + window < length
    if len(starts) > 1:
        assert starts[-1] == (places - 1) * window
        assert np.ptp(np.diff(starts)) <= window


def test_a_validation_loss_is_of_the_same_windows_however_they_are_batched(tmp_path: Path):
    """Equal up to float32 summation over at most 25 · 32 losses."""
    spec = read_spec("training", {"preset": "smoke/f3", "data": {"validation_windows": 25}})
    assert isinstance(spec, OpenELMSpec)
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("abcdefg "), 4_000)), "a" * 40_000, "b" * 2_000]  # a tail with two parts
    prepare_windows(spec.data, texts, None, tmp_path, {})
    found = []
    for micro in (1, 3, 8, None):
        task = WindowTask(spec.model_copy(update={"micro_batch": micro}), tmp_path, CPU)
        val_loss, details = task.evaluate()
        found.append((val_loss, details["train_loss_eval"]))
    assert found[1:] == [pytest.approx(found[0], rel=1e-6)] * 3


def test_each_document_ends_with_the_end_token():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<|endoftext|>": 2, "?": 3}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    texts = ["a b", "b", "a " * 50, "", "x"]
    found = [part.tolist() for part in token_arrays(texts, tokenizer)]
    assert found == [[0, 1, 2], [1, 2], [0] * 50 + [2], [2], [3, 2]]


def sparse_tokenizer(far: int) -> Tokenizer:
    """Five entries, one of them with the id `far`."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<|endoftext|>": 2, "?": 3, "far": far}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def test_the_largest_id_decides_the_stored_type_and_the_embedding(tmp_path: Path):
    """An id of 65,538 among five entries was stored as 2 in sixteen bits."""
    spec = read_spec("training", {"preset": "smoke/f3", "batch": 2, "micro_batch": None})
    assert isinstance(spec, OpenELMSpec)
    text = "a far b " * 300
    for far, dtype in ((65_535, np.uint16), (65_536, np.uint32), (65_538, np.uint32)):
        folder = tmp_path / str(far)
        prepare_windows(spec.data, [text], sparse_tokenizer(far), folder, {})
        tokens = np.fromfile(folder / "tokens.bin", dtype)
        assert tokens.tolist() == [0, far, 1] * 300 + [2]
    task = WindowTask(spec, folder, CPU)
    assert task.config.d_vocab == 65_539
    assert set(task.micro_batches(0)[0].flatten().tolist()) <= {0, 1, 2, 65_538}
    assert np.isfinite(Trainer(task, TrainingConfig(steps=1, peak_lr=1e-3, warmup_steps=1)).advance().loss)


def test_an_id_beyond_every_vocabulary_is_refused(tmp_path: Path):
    spec = read_spec("training", {"preset": "smoke/f3"})
    assert isinstance(spec, OpenELMSpec)
    with pytest.raises(InvalidInput, match=r"largest id is 4,294,967,295 \('far'\)") as refused:
        prepare_windows(spec.data, ["a far b"], sparse_tokenizer(2**32 - 1), tmp_path, {})
    assert refused.value.field == "spec.data.tokenizer"


@settings_on("sqlite")
@pytest.mark.parametrize(
    ("options", "join"), [({}, "newline"), ({"join": "newline"}, "newline"), ({"join": "space"}, "space")]
)
def test_a_run_on_spgc_records_how_its_words_are_joined(
    settings: Settings, catalog: Catalog, options: dict[str, str], join: str
):
    folder = settings.corpora_root / "spgc"
    folder.mkdir(parents=True)
    for name, content in BOOKS.items():
        (folder / name).write_text(content)
    source = CorpusSource.model_validate({"path": "spgc", "format": "spgc", **options})
    with catalog.begin() as connection:
        corpora.register(connection, "corpus-spgc", "spgc", source, state="ready")
    spec = {"preset": "smoke/f3", "data": {"corpus": "spgc", "deduplicate": False, "validation_share": 0.2}}
    job = prepared(settings, catalog, spec)
    with catalog.read() as connection:
        run = training.get(connection, job.run)
    data = run.data
    assert data["source"]["join"] == join
    assert data["end_of_document"] == {"token": "byte 0", "id": 0}
    assert data["held_out_in_training"] > 0.9  # the tail is of the longer book, which repeats itself
    (warning,) = run.warnings
    assert warning.code == "held_out_in_training"
    assert warning.message.startswith(f"{data['held_out_in_training']:.1%} of the held-out text stands in")
    tokens = bytes(np.fromfile(settings.artifacts_root / job.run / "data" / "tokens.bin", np.uint16).tolist())
    separator = {"newline": b"\n", "space": b" "}[join]
    assert tokens.startswith(separator.join([b"the", b"cat", b"sat", b"the"]))
    assert tokens.count(b"\0") == 2


@settings_on("sqlite")
@pytest.mark.parametrize("preset", ["smoke/f2", "smoke/f3"])
def test_a_job_that_is_cancelled_while_data_are_made_is_left_then(settings: Settings, catalog: Catalog, preset: str):
    job, spec = begun(catalog, {"preset": preset})
    owner, sweeper = (own_segment(settings, catalog, job, name) for name in ("prepare", "sweep"))
    with catalog.begin() as connection:
        jobs.request_cancel(connection, job)
    with pytest.raises(Cancelled):
        prepare_run(PrepareArguments(spec=spec), owner)
    sweep = SweepSpec(training=spec.model_dump(mode="json"))
    with pytest.raises(Cancelled):
        prepare_sweep(PrepareSweepArguments(spec=sweep), sweeper)
    for product in ("run", "sweep"):
        assert not (settings.artifacts_root / derived_id(product, job) / "data").exists()


def test_the_first_words_of_a_corpus():
    texts = ["one two\nthree", "", " four  five six"]
    assert list(first_words(texts, 4)) == ["one two\nthree", "", " four"]
    assert list(first_words(texts, 3)) == ["one two\nthree", ""]
    assert list(first_words(texts, 6)) == list(first_words(texts, 99)) == texts
    assert list(first_words(texts, 1)) == ["one"]
