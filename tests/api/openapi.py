"""The committed description of the REST API. `python -m tests.api.openapi` (`make openapi`) renews it."""

# One database: only the routes are described.

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings

COMMITTED = Path(__file__).with_name("openapi.json")


def current_document(data_dir: Path) -> str:
    """The OpenAPI document of the application, as text with sorted keys; nothing is read or written in `data_dir`."""
    document = create_app(Settings(data_dir=data_dir)).openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def committed_operations() -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, description) of every operation in the committed document."""
    paths = json.loads(COMMITTED.read_text(encoding="utf-8"))["paths"]
    return [(method, path, operation) for path, methods in paths.items() for method, operation in methods.items()]


if __name__ == "__main__":
    COMMITTED.write_text(current_document(Path("radius-data")), encoding="utf-8")
