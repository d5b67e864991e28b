"""The picture of a report in the README: `python -m tests.docs.picture radius-demo` (`make picture`), after a demo."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parents[2] / "docs" / "images" / "report.png"
MOST_BYTES = 150_000
_FIGURE = "radius-blocks--1-hook_resid_post.png"


def write_picture(figure: Path, target: Path = TARGET) -> int:
    """Write the figure with few colours, so that a page loads at once; returns its bytes.

    Raises:
        ValueError: it is still larger than `MOST_BYTES`.
    """
    with Image.open(figure) as drawn:
        drawn.convert("RGB").quantize(64).save(target, optimize=True)
    size = target.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"the picture has {size} bytes, more than {MOST_BYTES}")
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where `radius demo` put its figures")
    write_picture(parser.parse_args().folder / _FIGURE)
