"""A job whose model folder is damaged fails with the name of what is wrong, in one line of the log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.client import JobFailed
from tests.end_to_end.conftest import ANALYSIS, Running
from tests.models.broken import change_config, drop, prefix_names

SPEC = ANALYSIS | {"chunks": 20, "sites": ["final_norm_out"]}


def copied(service: Running, name: str) -> Path:
    root = service.settings.models_root
    return Path(shutil.copytree(root / "tiny", root / name))


def logged(service: Running, role: str) -> list[str]:
    return (service.settings.data_dir / "logs" / f"{role}.log").read_text().splitlines()


def test_a_missing_tensor_fails_the_job_with_its_name_in_one_line(service: Running):
    drop(copied(service, "lacking"), "wpe")
    service.run("extraction", SPEC)  # so that the workers have logged how they started
    control, compute = len(logged(service, "control")), len(logged(service, "compute"))
    with pytest.raises(JobFailed, match=r"the weights lack 'wpe\.weight'"):
        service.run("extraction", SPEC | {"model": "lacking"})
    assert logged(service, "compute")[compute:] == []
    (line,) = logged(service, "control")[control:]
    assert line.endswith("failed: unsupported_model: the weights lack 'wpe.weight'")


def test_a_loss_needs_an_output_map_and_the_model_without_one_is_named(service: Running):
    folder = copied(service, "headless")
    change_config(folder, tie_word_embeddings=False)
    drop(folder, "lm_head")
    with pytest.raises(JobFailed, match="'headless' has no output map"):
        service.run("extraction", SPEC | {"model": "headless", "loss": True})


@pytest.mark.long
def test_stripped_prefixes_are_a_warning_and_the_vectors_the_same(service: Running):
    prefix_names(copied(service, "prefixed"), "module.")
    plain, found = (service.run("extraction", SPEC | {"model": name}) for name in ("tiny", "prefixed"))
    (notice,) = [one for one in found.job.warnings if one.code == "tensor_names"]
    assert "'module.'" in notice.message
    of_plain, of_found = (service.client.vectors(done.activations[0]) for done in (plain, found))
    assert np.array_equal(of_plain, of_found)


@pytest.mark.long
def test_another_tokenizer_is_another_model(service: Running):
    folder = copied(service, "retokenised")
    before = service.run("extraction", SPEC | {"model": "retokenised"})
    about = json.loads((folder / "tokenizer.json").read_text())
    about["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(about))
    after = service.run("extraction", SPEC | {"model": "retokenised"})
    assert set(before.activations).isdisjoint(after.activations)
