"""The files of a folder that are read as text, in an order that does not depend on the file system."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from service.contracts.corpora import COMPRESSIONS, ENDINGS, CorpusFormat, CorpusSource, known_ending
from service.errors import InvalidInput, NotFound
from service.paths import leaves_root
from workers.corpora.documents import LeftOut
from workers.corpora.spgc_files import is_book, spgc_order

_ABOUT_SAVED = {"state.json", "dataset_info.json", "dataset_dict.json"}
_READABLE = ".txt, .jsonl, .json (.gz, .zst, .xz), .parquet or .arrow file"


@dataclass(frozen=True)
class TextFile:
    """A file of a corpus, its name below the corpus's folder, and how it is read (None: not known from the ending)."""

    path: Path
    name: str
    kind: CorpusFormat | None


def find_files(root: Path, source: CorpusSource, left_out: LeftOut) -> list[TextFile]:
    """The file `root`, or the files of that folder which are text, in the order of their names.

    Hidden files are left out; so are files of another kind, `.json` files beside files of another kind (unless
    `source.format` says that they are meant), a compressed file beside the plain one, and of a saved Hugging Face data
    set the files that are no data of it. A folder of several saved data sets is read at `source.split`.

    Raises:
        NotFound: there is no such file or folder.
        InvalidInput: the folder has no text, or a file name is not UTF-8.
    """
    try:
        if root.is_file():
            return [TextFile(root, root.name, _kind(root.name, source))]
        if not root.is_dir():
            raise NotFound("there is nothing at that path under the corpora root", field="path")
    except OSError as error:  # a name longer than a file's may be
        raise NotFound("there is nothing at that path under the corpora root", field="path") from error
    root = _split_of(root, source.split)
    every = [TextFile(path, name, _kind(name, source)) for path, name in _walk(root)]
    shown = [file for file in every if not _is_hidden(file.name)]
    found = _data(shown, source)
    left_out.hidden_files, left_out.other_files = len(every) - len(shown), len(shown) - len(found)
    if not found:
        raise InvalidInput(f"the folder holds no {_wanted(source)}{_beside(left_out)}", field="path")
    for file in found:
        if any("\udc80" <= character <= "\udcff" for character in file.name):
            raise InvalidInput(f"the file name {file.name!a} is not UTF-8", field="path")
    if source.format == "spgc":
        return sorted(found, key=lambda file: spgc_order(file.name))
    return sorted(found, key=lambda file: file.name)


def _kind(name: str, source: CorpusSource) -> CorpusFormat | None:
    ending = known_ending(name)
    return source.format or (None if ending is None else ENDINGS[ending])


def _data(files: list[TextFile], source: CorpusSource) -> list[TextFile]:
    """The files of a folder that are text, by their endings and the format that is wanted."""
    if source.format == "spgc":
        return [file for file in files if is_book(file.name)]
    saved = _Saved()
    known = [file for file in files if (ending := known_ending(file.name)) and file.kind == ENDINGS[ending]]
    names = {file.name for file in known}
    found = [file for file in known if saved.holds(file.path) and not _packed_again(file.name, names)]
    without_json = [file for file in found if file.kind != "json"]
    return found if source.format == "json" else without_json or found


def _packed_again(name: str, names: set[str]) -> bool:
    """Whether a file is compressed and there is the plain one, which would be the same text again."""
    plain, _, packed = name.rpartition(".")
    return f".{packed.lower()}" in COMPRESSIONS and plain in names


class _Saved:
    """The folders that `datasets.save_to_disk` wrote, with the data files that their `state.json` lists."""

    def __init__(self) -> None:
        self._listed: dict[Path, set[str] | None] = {}

    def holds(self, file: Path) -> bool:
        """False for a file of such a folder that is no data of it, and for a cache of the `datasets` library."""
        if file.parent not in self._listed:
            self._listed[file.parent] = _listed_in(file.parent / "state.json")
        listed = self._listed[file.parent]
        if listed is None:
            return not (file.suffix == ".arrow" and file.name.startswith("cache-"))
        return file.name in listed or not (file.suffix == ".arrow" or file.name in _ABOUT_SAVED)


def _listed_in(state: Path) -> set[str] | None:
    described = _read_json(state)
    files = described.get("_data_files") if isinstance(described, dict) else None
    if not isinstance(files, list):
        return None
    return {str(entry.get("filename")) for entry in files if isinstance(entry, dict)}


def _split_of(root: Path, split: str) -> Path:
    """The folder of one split, where several were saved together."""
    described = _read_json(root / "dataset_dict.json")
    splits = described.get("splits") if isinstance(described, dict) else None
    if not isinstance(splits, list):
        return root
    if split not in splits or leaves_root(split) or not (root / split).is_dir():
        raise InvalidInput(f"the saved data set has {len(splits)} splits, and none of that name", field="split")
    return root / split


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _wanted(source: CorpusSource) -> str:
    if source.format is None:
        return _READABLE
    return "*_tokens.txt file" if source.format == "spgc" else f".{source.format} file"


def _beside(left_out: LeftOut) -> str:
    counts = {"hidden": left_out.hidden_files, "other": left_out.other_files}
    said = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"; {said} files were left out" if said else ""


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """All files below `root` with their names there; symbolic links are followed, and each folder is entered once."""
    entered: set[str] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            below.clear()
            continue
        entered.add(real)
        below.sort()
        for path in (Path(folder, name) for name in files):
            if path.is_file():
                yield path, path.relative_to(root).as_posix()
