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
    """Tests that need a GPU are not collected without one."""
    import torch

    if not torch.cuda.is_available():
        chosen = [item for item in items if "gpu" not in item.keywords]
        config.hook.pytest_deselected(items=[item for item in items if "gpu" in item.keywords])
        items[:] = chosen


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
