"""Run tests on a changed module, in a process of its own with a time limit.

The processes are forked from one that has imported the libraries but nothing of the product, so that a mutant costs the
time of its tests alone.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from types import CodeType

import pytest

from tests.mutation.mutants import Mutant

LIMIT_S = 120
_LIBRARIES = ["torch", "faiss", "scipy"]


def survives(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether all `tests` (node ids) pass on the mutant; one that takes longer than `LIMIT_S` does not survive."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LIBRARIES)
    process = context.Process(target=_run, args=(mutant, list(tests)))
    process.start()
    process.join(LIMIT_S)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def _run(mutant: Mutant, tests: list[str]) -> None:
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.mkdtemp()
    sys.meta_path.insert(0, _Finder(mutant))
    options = ["-x", "-q", "--noconftest", "-p", "no:xdist", "--hypothesis-seed=0", "-m", "not (long or gpu or triton)"]
    sys.exit(int(pytest.main([*options, *tests])))


class _Finder(importlib.abc.MetaPathFinder):
    """Imports the changed source in place of the module's own."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, _Loader(self._mutant.source))


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, fullname: str) -> str:
        return self._source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, f"<mutant of {fullname}>", "exec")
