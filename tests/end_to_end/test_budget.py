"""The API stays light: no accelerator library, and little memory, also after it served."""

from __future__ import annotations

import subprocess
import sys

import httpx2
import psutil
import pytest

from service.client import Finished
from tests.end_to_end.conftest import Running

FORBIDDEN = ("torch", "faiss", "transformers", "matplotlib", "tokenizers", "pyarrow", "workers")
LIMIT_MIB, PAGES_MIB = 160, 15


def test_importing_the_application_loads_no_accelerator_library():
    script = (
        "import sys, psutil, service.app\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        f"print(sorted(loaded & set({FORBIDDEN!r})), psutil.Process().memory_info().rss)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, memory = done.stdout.rsplit(" ", 1)
    assert loaded == "[]"
    assert int(memory) < LIMIT_MIB * 2**20


@pytest.mark.long
def test_the_api_is_still_light_after_it_served(service: Running, analysis: Finished):
    """A job, its report, a figure, rows with vectors, pairs, a theory call; then the pages, which cost little more."""
    report, child = analysis.reports[0], service.supervisor.child("api").process
    assert child is not None
    process = psutil.Process(child.pid)
    _ask(
        service.url,
        f"/v1/jobs/{analysis.job.id}",
        f"/v1/radius/{report}",
        f"/v1/radius/{report}/figure.png",
        f"/v1/radius/{report}/histogram",
        f"/v1/radius/{report}/neighbors",
        f"/v1/activations/{analysis.activations[0]}/rows?vectors=true",
        "/v1/theory/radius?n=1048576&d=80000",
        "/openapi.json",
    )
    libraries = " ".join(mapping.path for mapping in process.memory_maps())
    assert not any(f"/{name}" in libraries for name in ("torch", "faiss", "matplotlib", "tokenizers", "pyarrow"))
    before = process.memory_info().rss
    _ask(
        service.url,
        *("/", "/jobs", "/activations", "/radius", "/energy", "/profiles", "/training", "/sweeps", "/reproductions"),
        *("/ask", "/theory", "/models", "/corpora", "/login", "/static/plotly.js", "/static/page.css"),
        f"/jobs/{analysis.job.id}",
        f"/radius/{report}",
        f"/compare?report={report}&report={analysis.reports[1]}",
        f"/activations/{analysis.activations[0]}",
    )
    after = process.memory_info().rss
    assert after - before < PAGES_MIB * 2**20
    assert after < LIMIT_MIB * 2**20


def _ask(url: str, *paths: str) -> None:
    for path in paths:
        assert httpx2.get(f"{url}{path}", timeout=30).status_code == 200, path
