"""The folder of one view of a reproduction: the report in three forms, and a figure for each claim that has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.artifacts.manifest import ArtifactFolder
from service.artifacts.views import view_name
from service.contracts.reproduction import ReproductionReport


@dataclass(frozen=True)
class ReproductionFolder(ArtifactFolder):
    """A published view."""

    @classmethod
    def of_view(cls, artifacts_root: Path, reproduction_id: str, view: tuple[int, str]) -> ReproductionFolder:
        """The folder of a view by its step and the SHA-256 of its manifest."""
        step, sha256 = view
        return cls(artifacts_root / reproduction_id / view_name(step), sha256)

    def report(self) -> ReproductionReport:
        """The report itself."""
        return ReproductionReport.model_validate_json(self.document("json").read_bytes())

    def document(self, ending: str) -> Path:
        """The checked path of the report in one form."""
        return self.file(f"report.{ending}")

    def figure(self, claim: str) -> Path:
        """The checked path of a claim's figure; raises `NotFound` where it has none."""
        return self.file(f"figure-{claim}.svg")
