"""An environment that is made from the metadata alone has all that the product imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The kernel is for GPUs, where torch brings Triton; migrations are imported by Alembic.
IMPORT_ALL = """
import importlib, pkgutil, service, workers
for package in (service, workers):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations." not in module.name and module.name != "workers.neighbors.strip_kernel":
            importlib.import_module(module.name)
import psycopg
"""


@pytest.mark.long
def test_what_the_metadata_names_is_enough(tmp_path: Path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    source = tmp_path / "source"  # a build leaves files beside what it builds
    source.mkdir()
    for name in ("service", "workers"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--constraint", ROOT / "constraints.txt", f"{source}[cpu]"], check=True)
    subprocess.run([python, "-P", "-c", IMPORT_ALL], check=True, cwd=tmp_path)
