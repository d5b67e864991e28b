"""The data of training runs: made once in a folder, read by the runs, and the task that a run makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from service.artifacts.manifest import describe_file, write_manifest
from service.catalog import corpora
from service.contracts.corpora import CorpusSource
from service.contracts.training import BYTES, QuestionFormationSpec, TrainingSpec
from workers.corpora.sources import read_documents
from workers.flows.engine.memory import memory_returned
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.training.growing_folders import publish_part
from workers.models.loading import load_tokenizer, tokenizer_hashes
from workers.training import windows
from workers.training.data import DataDescription
from workers.training.sentences import SentenceTask, describe_sentences, notes_on_sentences, prepare_sentences
from workers.training.windows import WindowTask, describe_windows, prepare_windows

_DATA = "data"
_FIRST_MICRO_BATCH = (
    "train_loss of this run is that of the first micro-batch of each step (logged_loss), not of the whole batch: its "
    "variance, and with it the MSE of Table 3, is larger."
)


def prepare_data(spec: TrainingSpec, product: str, owner: SegmentOwner) -> None:
    """Make the data in the folder of a run or a sweep, unless they are there; complete or not at all."""

    def write(folder: Path) -> None:
        with memory_returned():
            _make_data(spec, folder, owner)
        files = [describe_file(path) for path in sorted(folder.iterdir())]
        write_manifest(folder, {"kind": "training data", "files": files})

    publish_part(product, _DATA, owner, write)


def _make_data(spec: TrainingSpec, folder: Path, owner: SegmentOwner) -> None:
    current, tick = owner.runtime, lambda: owner.progress(0)
    if isinstance(spec, QuestionFormationSpec):
        prepare_sentences(spec, folder, current.settings.corpora_root, tick)
    else:
        name = spec.data.corpus
        corpus = current.read(lambda connection: corpora.find_for_job(connection, owner.job_id, name))
        texts = (document.text for document in read_documents(corpus.source, current.settings))
        named = spec.data.tokenizer
        place = (named, None, current.settings.models_root)
        tokenizer, hashes = (None, None) if named == BYTES else (load_tokenizer(*place), tokenizer_hashes(*place))
        prepare_windows(
            spec.data,
            texts,
            tokenizer,
            folder,
            _describe_source(corpus.source),
            tick,
            current.settings.tokenising_memory_bytes,
            tokenizer_sha256=hashes,
        )


def _describe_source(source: CorpusSource) -> dict[str, Any]:
    """The source of a corpus; for SPGC also how words are joined, which decides what a token is."""
    described = source.model_dump(mode="json", exclude_defaults=True)
    return described | {"join": source.join} if source.format == "spgc" else described


def describe_data(spec: TrainingSpec, artifact: Path) -> DataDescription:
    """The description of the prepared data that a run records."""
    if isinstance(spec, QuestionFormationSpec):
        return describe_sentences(artifact / _DATA)
    return describe_windows(spec, artifact / _DATA)


def make_task(spec: TrainingSpec, artifact: Path, device: torch.device) -> SentenceTask | WindowTask:
    """The prepared data and a fresh model on `device`."""
    if isinstance(spec, QuestionFormationSpec):
        return SentenceTask(spec, artifact / _DATA, device)
    return WindowTask(spec, artifact / _DATA, device)


def notes_on(spec: TrainingSpec, reference_lines: dict[str, float]) -> list[str]:
    """Notes on the meaning of such a run's numbers."""
    of_micro_batch = [_FIRST_MICRO_BATCH] if spec.logged_loss == "micro_batch" else []
    if isinstance(spec, QuestionFormationSpec):
        return [*notes_on_sentences(spec, reference_lines), *of_micro_batch]
    return [*windows.NOTES, *of_micro_batch]
