"""A family is facts, classes, a configuration to test it with and a line in the documents, all under one name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from service.contracts.families import FAMILIES, IN_FOLDERS, Family
from service.contracts.site_names import LIBRARIES, SiteNames
from service.contracts.sites import HOOKS
from tests.models.families import CONFIGURATIONS
from workers.models.families import MODULES

ROOT = Path(__file__).parents[2]
FACTS, CLASSES = ROOT / "service" / "contracts" / "families", ROOT / "workers" / "models" / "families"
PAGE = (ROOT / "docs" / "families.md").read_text()
LONGEST = 80  # lines of a family's two modules together


def names_in(folder: Path, *, but: str) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__", but}


def test_facts_and_classes_match():
    assert names_in(FACTS, but="family") == set(FAMILIES)
    assert names_in(CLASSES, but="modules") == set(IN_FOLDERS) == set(MODULES) == set(CONFIGURATIONS)
    assert all(import_module(f"service.contracts.families.{name}").FAMILY is FAMILIES[name] for name in FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_short(name: str):
    files = [folder / f"{name}.py" for folder in (FACTS, CLASSES)]
    assert sum(len(file.read_text().splitlines()) for file in files if file.exists()) < LONGEST


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.kept])
def test_families_of_training_runs_have_a_model_here(name: str):
    assert (ROOT / "workers" / "models" / f"{name}.py").exists()
    assert f'"{name}"' in (ROOT / "workers" / "training" / "kept.py").read_text()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_page_has_a_row_of_each_family_with_its_sites(family: Family):
    """The table of docs/families.md: family, models, then a column for each site, then whether vLLM gives it."""
    names = SiteNames(family, 2)
    cells = ["yes"] * 6
    if family.parallel is not None:
        cells[HOOKS.index("resid_mid")] = f"not with `{family.parallel[0]}`"
    libraries = [library for library in LIBRARIES if any(names.names(site)[library] for site in names.sites())]
    assert f"| `{family.model_type}` | {family.title} | {' | '.join(cells)} | {len(libraries)} of 4 |" in PAGE


def test_the_page_names_what_a_family_requires():
    for family in FAMILIES.values():
        for key in [*family.required, *family.same]:
            assert f"`{key}`" in PAGE, key
