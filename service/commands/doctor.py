"""`radius doctor`: checks of the installation, and how to repair what fails."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from service.artifacts.model_folders import ModelFolder, list_model_folders
from service.contracts.families import IN_FOLDERS
from service.errors import UnsupportedModel
from service.permissions import access_warnings, others_may_read, others_may_write
from service.processes import module_command
from service.settings import GIB, Settings
from service.sizes import shown_bytes

_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "dbos", "fastapi", "matplotlib")
# From the repository: the name `radius` is another project's on the package index.
_INSTALL = "in the repository: pip install -c constraints.txt -e '.[cpu]', or '.[gpu]'"
_PROBE_S = 120
_ROOM = 2 * GIB


@dataclass(frozen=True)
class Finding:
    """One check; `advice` is how to repair a failed one."""

    check: str
    ok: bool
    found: str
    advice: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All checks; those that may hang or crash (importing, searching) run in a separate process with a timeout."""
    found = [_python(), *_installed(), _faiss_choice(), *_compute(), _data_dir(settings)]
    return [*found, examine_access(settings), _models(settings)]


def as_json(findings: list[Finding]) -> list[dict[str, object]]:
    """The findings as plain objects."""
    return [asdict(finding) for finding in findings]


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, platform.python_version(), "" if ok else "install Python 3.11 or newer")


def _installed() -> list[Finding]:
    return [_package(name) for name in _PACKAGES]


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", _INSTALL)


def _faiss_choice() -> Finding:
    found = [name for name in ("faiss-cpu", "faiss-gpu") if _package(name).ok]
    if len(found) == 1:
        return Finding("faiss", True, f"{found[0]} {version(found[0])}")
    advice = _INSTALL if not found else "uninstall one: both provide `faiss`"
    return Finding("faiss", False, " and ".join(found) or "not installed", advice)


def _compute() -> list[Finding]:
    command = module_command("workers.probe")
    advice = "run `python -m workers.probe` to see the whole error"
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        return [Finding("search", False, f"no answer within {_PROBE_S} s", advice)]
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        return [Finding("search", False, last[0][:200], advice)]
    return [Finding(**found) for found in json.loads(done.stdout)]


def examine_access(settings: Settings) -> Finding:
    """Check which other users of this machine may use the service or change its keys; warnings are no failures."""
    keys = settings.api_keys_file
    if keys is not None and keys.exists() and others_may_write(keys):
        return Finding("access", False, "other users may write the keys file", "chmod 600 the file")
    warnings = access_warnings(settings)
    if settings.data_dir.exists() and others_may_read(settings.data_dir):
        warnings.append("other users of this machine can read the data directory; chmod 700 keeps it private")
    return Finding("access", True, "; ".join(warnings) or "keys, and files that are this user's alone")


def _data_dir(settings: Settings) -> Finding:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{settings.data_dir}: {shown_bytes(free)} free"
    return Finding(
        "data directory", free > _ROOM, found, "" if free > _ROOM else "set RADIUS_DATA_DIR to a larger disk"
    )


def _models(settings: Settings) -> Finding:
    """The model folders that are there; one that is not supported is no fault of the installation."""
    named = [_family(folder) for folder in list_model_folders(settings.models_root)]
    return Finding("models", True, ", ".join(named) or f"none here; supported are {', '.join(IN_FOLDERS)}")


def _family(folder: ModelFolder) -> str:
    try:
        return f"{folder.id} ({folder.read_config().family.model_type})"
    except UnsupportedModel as error:
        return f"{folder.id} (not supported: {error.detail})"
