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
LIMIT_MIB = 160


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
    """A job, its report, a figure, rows with vectors, pairs and a theory call."""
    report = analysis.reports[0]
    for path in (
        f"/v1/jobs/{analysis.job.id}",
        f"/v1/radius/{report}",
        f"/v1/radius/{report}/figure.png",
        f"/v1/radius/{report}/histogram",
        f"/v1/radius/{report}/neighbors",
        f"/v1/activations/{analysis.activations[0]}/rows?vectors=true",
        "/v1/theory/radius?n=1048576&d=80000",
        "/openapi.json",
    ):
        assert httpx2.get(f"{service.url}{path}", timeout=30).status_code == 200
    child = service.supervisor.child("api").process
    assert child is not None
    process = psutil.Process(child.pid)
    libraries = " ".join(mapping.path for mapping in process.memory_maps())
    assert not any(f"/{name}" in libraries for name in ("torch", "faiss", "matplotlib", "tokenizers", "pyarrow"))
    assert process.memory_info().rss < LIMIT_MIB * 2**20
