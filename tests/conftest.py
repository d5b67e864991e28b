"""Fixtures that every room shares."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.catalog.engine import Catalog
from service.settings import Settings
from tests.api.support import client_of
from tests.databases.migrated import DATABASES, Databases
from tests.databases.soak import SOAK
from tests.examples import use_by_default
from tests.hosts.network import missing
from tests.page.browser import MISSING
from tests.scheduling import ROOMS, ByService, beyond_each_choice, on_other_database

_PAGE = Path(__file__).parent / "page"
_HOSTS = Path(__file__).parent / "hosts"
_LENS = Path(__file__).parent / "models" / "test_transformer_lens.py"
_HAS_LENS = find_spec("transformer_lens") is not None
_NO_HOSTS = missing() if SOAK else []
use_by_default()
os.environ["HF_HUB_OFFLINE"] = "1"  # a wrong model name fails at once instead of looking for a hub


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The pages in a browser are not collected without one, nor the comparison with TransformerLens without that."""
    left_out = (MISSING and collection_path == _PAGE) or (not _HAS_LENS and collection_path == _LENS)
    return True if left_out else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not collected, and why."""
    if MISSING:
        terminalreporter.write_line(f"tests/page was not collected: it needs {' and '.join(MISSING)}")
    if _NO_HOSTS:
        terminalreporter.write_line(f"tests/hosts was not tried: it needs {' and '.join(_NO_HOSTS)}")
    if not _HAS_LENS:
        terminalreporter.write_line(f"tests/models/{_LENS.name} was not collected: it needs transformer-lens")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What needs a GPU, Triton's interpreter, hosts or an hour is not collected without; the longest are first."""
    import torch

    lacking = {"gpu"} if not torch.cuda.is_available() else set()
    if os.environ.get("TRITON_INTERPRET") != "1":
        lacking.add("triton")
    if not SOAK:
        lacking.add("long")
    kept = [item for item in items if not lacking & {mark.name for mark in item.iter_markers()}]
    kept = [item for item in kept if not (_NO_HOSTS and item.path.is_relative_to(_HOSTS))]
    if not SOAK:
        elsewhere = on_other_database([item.nodeid for item in kept])
        kept = [item for item in kept if item.nodeid not in elsewhere]
        more = beyond_each_choice(kept)
        kept = [item for item in kept if item not in more]
    config.hook.pytest_deselected(items=list(set(items).difference(kept)))
    items[:] = kept
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: not item.nodeid.startswith(ROOMS))


def pytest_collection_finish() -> None:
    """What was imported and collected stays; garbage collection need not walk it again in every test."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByService:
    """Several processes share the tests out our way."""
    config.option.loadscopereorder = False
    return ByService(config, log)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Where fresh databases come from."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.close()


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    """Fresh settings on a fresh data directory and a fresh, migrated database, of each kind in turn."""
    with databases.settings(request.param, tmp_path / "data") as made:
        yield made


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    """The catalog of a test's own database."""
    with closing(Catalog(settings.resolved_database_url)) as opened:
        yield opened


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    """The REST application without workers: what is submitted stays queued."""
    with client_of(settings) as client:
        yield client


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 folder; read only."""
    from tests.tiny import make_gpt2

    logging.getLogger("transformers").setLevel(logging.ERROR)
    return make_gpt2(tmp_path_factory.mktemp("models") / "tiny-gpt2")
