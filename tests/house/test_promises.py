"""Rules for the whole source, checked by reading it and the documents."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from service.cli import app
from service.settings import ClientSettings, Settings
from tests.docs.picture import MOST_BYTES

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "service").rglob("*.py"), *(ROOT / "workers").rglob("*.py")])
UNSAFE = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"torch.load", "eval", "exec", "yaml.load", "faiss.read_index"}
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "docker" / "README.md"])
DOCUMENTED = "\n".join(path.read_text() for path in DOCUMENTS)
OTHER_VARIABLES = {"bench_set", "bench_rows", "soak", "audit"}  # of the tests and of the audit
LONGEST_README = 1_200  # words outside of code


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_is_unpickled_or_evaluated():
    assert {path.name: found for path in SOURCES if (found := unsafe(ast.parse(path.read_text())))} == {
        "faiss_index.py": {"faiss.read_index"}  # of a file whose checksum was checked
    }


def unsafe(tree: ast.AST) -> set[str]:
    """What a module imports or calls that may run what it reads."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names} | {
        getattr(n, "module", None) or "" for n in imports
    }
    found = {name.split(".")[0] for name in names} & UNSAFE
    for name, call in calls(tree):
        if name in UNSAFE_CALLS or (name == "np.load" and not forbids_pickles(call)):
            found.add(name)
    return found


def forbids_pickles(call: ast.Call) -> bool:
    return any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in call.keywords)


def test_only_the_settings_read_the_environment():
    """The modules that do hand it to processes they start."""
    reading = {path.name for path in SOURCES if re.search(r"os\.environ|getenv", path.read_text())}
    assert reading <= {"settings.py", "cli.py", "supervisor.py", "demo.py"}


def test_every_setting_has_a_reason():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_readme_is_short_and_its_picture_small():
    text = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    assert len(text.split()) <= LONGEST_README
    assert (ROOT / "docs" / "images" / "report.png").stat().st_size <= MOST_BYTES


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_to_files(path: Path):
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_documents_name_settings_that_exist():
    named = {name.lower() for name in re.findall(r"\bRADIUS_([A-Z_]+)", DOCUMENTED)}
    assert named
    assert named <= Settings.model_fields.keys() | ClientSettings.model_fields.keys() | OTHER_VARIABLES


def test_the_documents_name_commands_that_exist():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {group.name for group in app.registered_groups}
    named = set(re.findall(r"^radius ([a-z]+)", DOCUMENTED, flags=re.MULTILINE))
    assert named
    assert named <= commands


def test_the_documents_name_routes_that_exist():
    document = (ROOT / "tests" / "api" / "openapi.json").read_text()
    for route in re.findall(r"localhost:8000(/v1/[a-z]+(?:/[a-z-]+)?)", DOCUMENTED):
        assert f'"{route}"' in document


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_documents_name_make_targets_that_exist(document: str):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / document).read_text(), flags=re.MULTILINE))
    assert named
    assert named <= targets


def test_the_lock_pins_every_requirement_exactly():
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.findall(r'^    "([a-z0-9-]+)[><=]', project, flags=re.MULTILINE)
    assert len(wanted) > 20
    assert set(wanted) - {"faiss-gpu"} <= pinned
