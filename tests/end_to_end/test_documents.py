"""Commands and snippets of README, tutorials, how-to pages and examples, run as they stand against a real service.

Placeholders are replaced: JOB, REPORT, SET and so on by ids of finished jobs. `make`, compose and GPU lines are run by
`.ci/run`, `make smoke` and on a GPU; a block marked `text` is a line of those, or takes hours.
"""

# One database: the documents.

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from service import cli
from service.contracts.presets import DEMO_MODEL
from tests.databases.soak import long
from tests.end_to_end.conftest import ON_SQLITE, Running
from tests.tiny import make_gpt2

pytestmark = ON_SQLITE
ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", *(f"docs/{page}" for page in (
    "tutorials/first-analysis.md", "tutorials/your-model.md", "tutorials/notebook.md", "tutorials/gpu-box.md",
    "tutorials/reproduce.md", "how-to/import.md", "how-to/compare.md", "how-to/energies.md", "how-to/theory.md",
))]  # fmt: skip
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("make ", "export ")
REPRODUCE = "radius reproduce "


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: str
    language: str
    text: str

    def __str__(self) -> str:
        return self.document


def blocks(language: str) -> list[Block]:
    return [
        Block(name, found[1], found[2])
        for name in DOCUMENTS
        for found in FENCE.finditer((ROOT / name).read_text())
        if found[1] == language
    ]


def commands() -> list[str]:
    """Every command of every document once, in their order."""
    lines = [line for block in blocks("sh") for line in block.text.splitlines() if line.strip()]
    return [line for line in dict.fromkeys(lines) if not line.startswith((*ELSEWHERE, REPRODUCE))]


SLOW = ("/descent", "/profile", "statistics=true", "beta=", "model=demo-gpt2", "radius estimate", "query")


def heavy(line: str) -> bool:
    """Whether a command waits for a job of many seconds, or for the measurement of a device."""
    return any(part in line for part in (*SLOW, "--watch"))


def run(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Standard output of `radius …`, run in this process."""
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr()
    assert ended.value.code == 0, shown.err
    return shown.out


def run_in_shell(line: str, service: Running) -> str:
    """Standard output of another command, which is sent to this service; a job that it submits is cancelled."""
    command = line.replace("localhost:8000", service.url.removeprefix("http://"))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    made = json.loads(done.stdout)["id"]
    if made.startswith("job-"):
        service.client.cancel(made)
    return done.stdout


@pytest.fixture(scope="module")
def ids(service: Running) -> dict[str, str]:
    """What placeholders stand for; the demo's model is a tiny one with as many blocks."""
    make_gpt2(service.settings.models_root / DEMO_MODEL, n_layer=4)
    made = service.client.submit("analysis", {"preset": "smoke/f1"}).wait()
    energies = service.client.submit("energy", {"activations": made.activations[:1], "sample": 16}).wait()
    other = service.client.import_vectors(np.random.default_rng(0).normal(size=(50, 32)), "other")
    return {
        "JOB": made.job.id,
        "REPORT": made.reports[0],
        "ENERGY": energies.energies[0],
        "SET": made.activations[0],
        "OTHER": other.id,
    }


@pytest.fixture
def folder(tmp_path: Path, service: Running, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that commands name; clients find the service by RADIUS_URL."""
    np.save(tmp_path / "vectors.npy", np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32))
    (tmp_path / "notes.txt").write_text("A list is a mutable sequence.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RADIUS_URL", service.url)
    return tmp_path


def filled(text: str, ids: dict[str, str]) -> str:
    return re.sub(r"\b(JOB|REPORT|ENERGY|SET|OTHER)\b", lambda found: ids[found[1]], text)


@pytest.mark.parametrize("line", [*(line for line in commands() if not heavy(line)), *long(filter(heavy, commands()))])
def test_a_command_works_as_it_is_printed(
    line: str, ids: dict[str, str], folder: Path, service: Running, monkeypatch: pytest.MonkeyPatch, capsys
):
    given = filled(line, ids)
    shown = run(given, monkeypatch, capsys) if given.startswith("radius ") else run_in_shell(given, service)
    assert shown
    figure = re.search(r"--figure (\S+)", given)
    assert figure is None or (folder / figure[1]).stat().st_size > 0


@pytest.mark.parametrize("line", [line for line in commands() if heavy(line) and " submit " in line])
def test_a_long_command_is_accepted(
    line: str, ids: dict[str, str], folder: Path, service: Running, monkeypatch: pytest.MonkeyPatch, capsys
):
    """`make soak` waits for these jobs."""
    shown = run(filled(line, ids).replace(" --watch", ""), monkeypatch, capsys)
    service.client.cancel(shown.split()[0])


@pytest.mark.long
def test_reproductions_run_in_their_order(
    ids: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Later ones are compared with earlier ones."""
    lines = [line for block in blocks("sh") for line in block.text.splitlines() if line.startswith(REPRODUCE)]
    shown = [run(line, monkeypatch, capsys) for line in lines]
    assert len(shown) == 2
    assert all("reproduced" in each for each in shown)
    assert "against the other report" in shown[-1]


SNIPPETS = [block for block in blocks("python") if "asyncio" not in block.text]
WAITING = [block for block in SNIPPETS if "wait(" in block.text][1:]  # for a job; `make test` waits for the README's
QUICK = [block for block in SNIPPETS if block not in WAITING]


@pytest.mark.parametrize("block", [*QUICK, *long(WAITING)], ids=str)
def test_a_snippet_runs(block: Block, ids: dict[str, str], folder: Path):
    exec(compile(block.text, block.document, "exec"), {"__name__": "snippet"})


@pytest.mark.long
@pytest.mark.parametrize("block", [block for block in blocks("python") if "asyncio" in block.text], ids=str)
def test_an_asynchronous_snippet_runs(block: Block, ids: dict[str, str], folder: Path):
    exec(compile(block.text, block.document, "exec"), {"__name__": "snippet"})


@pytest.mark.parametrize("name", ["nearest_neighbors.py", *long(["first_report.py"])])
def test_an_example_runs(name: str, ids: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]):
    exec(compile((ROOT / "examples" / name).read_text(), name, "exec"), {"__name__": "__main__"})
    assert "nn_distance" in capsys.readouterr().out


@pytest.mark.long
def test_the_notebook_runs_and_is_committed_without_outputs(ids: dict[str, str], folder: Path):
    cells = json.loads((ROOT / "examples" / "first_report.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in code:
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    report = names["report"]
    html = report._repr_html_()  # pyright: ignore
    assert "<table>" in html
    assert "data:image/png;base64," in html
    names["client"].close()  # pyright: ignore
