"""The folder of one view of a reproduction: the report in three forms, and a figure for each claim that has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.artifacts.file_digests import FileDigests
from service.artifacts.manifest import ArtifactFolder
from service.artifacts.views import view_name
from service.contracts.reproduction import ReproductionReport


@dataclass(frozen=True)
class ReproductionFolder(ArtifactFolder):
    """A published view."""

    @classmethod
    def of_view(
        cls, artifacts_root: Path, reproduction_id: str, view: tuple[int, str], digests: FileDigests
    ) -> ReproductionFolder:
        """The folder of a view by its step and the SHA-256 of its manifest."""
        step, sha256 = view
        return cls(artifacts_root / reproduction_id / view_name(step), sha256, digests)

    def report(self) -> ReproductionReport:
        """The report itself."""
        return ReproductionReport.model_validate_json(self.file("report.json").read_bytes())
