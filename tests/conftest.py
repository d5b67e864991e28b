"""Fixtures that every room shares."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.catalog.migrate import migrate
from service.jobs.engine import migrate_engine
from service.settings import Settings

os.environ["HF_HUB_OFFLINE"] = "1"  # a wrong model name fails at once instead of looking for a hub


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that need a GPU, or Triton's interpreter, are not collected without one."""
    import torch

    missing = {"gpu"} if not torch.cuda.is_available() else set()
    if os.environ.get("TRITON_INTERPRET") != "1":
        missing.add("triton")
    left_out = [item for item in items if missing & set(item.keywords)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Fresh settings on a fresh, migrated data directory."""
    made = Settings(data_dir=tmp_path / "data", corpus_scan_wait_s=0)
    made.make_folders()
    migrate(made.resolved_database_url)
    migrate_engine(made.resolved_database_url)
    return made


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    """The REST application without workers: what is submitted stays queued."""
    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 folder; read only."""
    from tests.tiny import make_gpt2

    logging.getLogger("transformers").setLevel(logging.ERROR)
    return make_gpt2(tmp_path_factory.mktemp("models") / "tiny-gpt2")
