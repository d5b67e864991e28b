"""The folder of one activation set, and reading it.

    manifest.json                what it is; SHA-256 of every file
    shard-00000.safetensors      vectors (rows, d_model), in the stored dtype; where it was asked for loss (m), float64,
                                 the mean next-token loss of each chunk in nats per token
    rows-00000.safetensors       the chunks of that shard: tokens (m, T), document (m) a code, offset (m) in
                                 characters, and packed document_ids and texts; none for imported vectors
    names.safetensors            packed ids and labels of imported rows, where they were given
    moments.safetensors          mean (d_model) and variance (d_model), float64; no variance where it under- or
                                 overflows a double

Row r of a shard is chunk r // rows_per_chunk, at `position`, or at r % rows_per_chunk when all positions are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from service.artifacts.atomic import atomic_path, sha256_file
from service.artifacts.manifest import MANIFEST, ArtifactFolder, describe_file, read_manifest, write_manifest
from service.artifacts.mapped import map_tensors
from service.artifacts.row_names import NAMES, name_of
from service.artifacts.statistics import RunningStatistics
from service.artifacts.strings import pack_strings, unpack_string
from service.contracts.activations import ActivationRow
from service.errors import CorruptArtifact

Array = np.ndarray


def shard_name(index: int) -> str:
    """File name of the vectors of shard `index`."""
    return f"shard-{index:05d}.safetensors"


def rows_name(index: int) -> str:
    """File name of the chunks of shard `index`."""
    return f"rows-{index:05d}.safetensors"


def save_tensors(target: Path, tensors: dict[str, Array]) -> None:
    """Write a safetensors file atomically."""
    content = save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def load_tensors(path: Path) -> dict[str, Array]:
    """The tensors of a file that is not yet in a manifest; raises `CorruptArtifact` where they cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CorruptArtifact("an unpublished file of tensors is missing or cannot be read") from error


def save_chunks(target: Path, tokens: Array, document: Array, offset: Array, ids: list[str], texts: list[str]) -> None:
    """Write the chunks of one shard: (m, T) int32 tokens, (m,) document codes and character offsets, ids and texts."""
    id_utf8, id_ends = pack_strings(ids)
    text_utf8, text_ends = pack_strings(texts)
    tensors = {"tokens": tokens, "document": document, "offset": offset}
    save_tensors(
        target, tensors | {"id_utf8": id_utf8, "id_ends": id_ends, "text_utf8": text_utf8, "text_ends": text_ends}
    )


def finish_set(folder: Path, about: dict[str, Any]) -> None:
    """Complete a folder that holds all its shards: statistics, moments, and last the manifest.

    Raises:
        CorruptArtifact: a shard cannot be read.
        NonFiniteData: naming the first row that is not finite.
    """
    shards = [folder / shard_name(index) for index in range(len(list(folder.glob("shard-*.safetensors"))))]
    first = load_tensors(shards[0])["vectors"]
    running, counts, losses = RunningStatistics(first.shape[1]), [], list[Array]()
    for path in shards:
        tensors = load_tensors(path)
        running.add(tensors["vectors"])
        counts.append(len(tensors["vectors"]))
        losses += [tensors["loss"]] if "loss" in tensors else []
    moments = {"mean": running.mean, "variance": running.variance}
    save_tensors(folder / "moments.safetensors", {name: part for name, part in moments.items() if part is not None})
    names = [*shards, *sorted(folder.glob("rows-*.safetensors")), *sorted(folder.glob(NAMES))]
    names.append(folder / "moments.safetensors")
    about = about | {
        "kind": "activations",
        "n": running.n,
        "d_model": running.d_model,
        "dtype": str(first.dtype),
        "shard_rows": counts,
        "statistics": running.summary().model_dump(),
        "files": [describe_file(path) for path in names],
    }
    if losses:
        about["loss"] = {"unit": "nats per token", "mean": float(np.concatenate(losses).mean())}
    write_manifest(folder, about)


def catalog_row(folder: Path) -> dict[str, Any]:
    """The catalog's row of a finished set, from its manifest."""
    manifest = read_manifest(folder)
    row = {name: manifest[name] for name in ("id", "name", "n", "d_model", "dtype", "statistics")}
    row |= {name: manifest.get(name) for name in ("job", "site", "reuse_key")}
    return row | {"sha256": sha256_file(folder / MANIFEST)}


@dataclass(frozen=True)
class ActivationSet(ArtifactFolder):
    """A published set."""

    @property
    def n(self) -> int:
        return self.manifest["n"]

    @property
    def d_model(self) -> int:
        return self.manifest["d_model"]

    @property
    def rows_per_chunk(self) -> int:
        return self.manifest.get("rows_per_chunk", 1)

    def file(self, name: str) -> Path:
        """The checked path of a listed file, or of the manifest itself."""
        return self.folder / MANIFEST if name == MANIFEST and self.manifest else super().file(name)

    def vectors(self) -> Array:
        """All rows, (n, d_model), in the stored dtype, read shard by shard into one array."""
        rows = np.empty((self.n, self.d_model), dtype=self.manifest["dtype"])
        start = 0
        for index, count in enumerate(self.manifest["shard_rows"]):
            rows[start : start + count] = load_file(self.file(shard_name(index)))["vectors"]
            start += count
        return rows

    def mapped_vectors(self) -> list[Array]:
        """The rows of each shard, (rows, d_model), memory-mapped: read from disk when they are used."""
        return [map_tensors(self.file(shard_name(i)))["vectors"] for i in range(len(self.manifest["shard_rows"]))]

    def mean(self) -> Array:
        """(d_model,) float64 mean vector, as measured when the set was written."""
        return load_file(self.file("moments.safetensors"))["mean"]

    def document_codes(self) -> Array | None:
        """(n,) int64: equal for rows of the same document; None for imported vectors."""
        if not self.has_text:
            return None
        return np.repeat(np.concatenate(self._of_chunks("document")), self.rows_per_chunk)

    def last_tokens(self) -> Array | None:
        """(n,) id of the token at each row's position, the last one that it has seen; None for imported vectors."""
        if not self.has_text:
            return None
        tokens, position = np.concatenate(self._of_chunks("tokens")), self.manifest["position"]
        return tokens.ravel() if position == "all" else tokens[:, -1 if position == "last" else position]

    def losses(self) -> Array | None:
        """(n,) mean next-token loss of each row's chunk, in nats per token; None where it was not asked for."""
        if "loss" not in self.manifest:
            return None
        shards = range(len(self.manifest["shard_rows"]))
        of_chunks = [map_tensors(self.file(shard_name(i)))["loss"] for i in shards]
        return np.repeat(np.concatenate(of_chunks), self.rows_per_chunk)

    def document_ids(self) -> list[str] | None:
        """The document of each row; None for imported vectors."""
        if not self.has_text:
            return None
        found = []
        for index in range(len(self.manifest["shard_rows"])):
            chunks = load_file(self.file(rows_name(index)))
            ids = [unpack_string(chunks["id_utf8"], chunks["id_ends"], i) for i in range(len(chunks["id_ends"]))]
            found += [name for name in ids for _ in range(self.rows_per_chunk)]
        return found

    def rows(self, wanted: list[int], *, vectors: bool = False) -> list[ActivationRow]:
        """Text, token and vector of the wanted rows, in the order of `wanted`; reads only these rows from disk."""
        ends = np.cumsum(self.manifest["shard_rows"])
        mapped: dict[str, dict[str, Array]] = {}
        found = []
        for row in wanted:
            shard = int(np.searchsorted(ends, row, side="right"))
            local = row - (int(ends[shard - 1]) if shard else 0)
            chunks = self._mapped(mapped, rows_name(shard)) if self.has_text else None
            values = self._mapped(mapped, shard_name(shard))["vectors"][local] if vectors else None
            names = self._mapped(mapped, NAMES) if self._has_names else {}
            made = self._row(row, local, chunks, values, names)
            if "loss" in self.manifest:
                loss = self._mapped(mapped, shard_name(shard))["loss"][local // self.rows_per_chunk]
                made = made.model_copy(update={"loss": float(loss)})
            found.append(made)
        return found

    @property
    def _has_names(self) -> bool:
        return any(entry["name"] == NAMES for entry in self.manifest["files"])

    @property
    def has_text(self) -> bool:
        """Whether the rows come from chunks of documents; imported ones do not."""
        return any(entry["name"].startswith("rows-") for entry in self.manifest["files"])

    def _of_chunks(self, name: str) -> list[Array]:
        """One tensor of the chunks of each shard, memory-mapped: the texts beside it are not read."""
        return [map_tensors(self.file(rows_name(i)))[name] for i in range(len(self.manifest["shard_rows"]))]

    def _mapped(self, mapped: dict[str, dict[str, Array]], name: str) -> dict[str, Array]:
        if name not in mapped:
            mapped[name] = map_tensors(self.file(name))
        return mapped[name]

    def _row(
        self, row: int, local: int, chunks: dict[str, Array] | None, values: Array | None, names: dict[str, Array]
    ) -> ActivationRow:
        vector = None if values is None else [float(value) for value in values]
        if chunks is None:
            row_id, label = name_of(names, "ids", row), name_of(names, "labels", row)
            return ActivationRow(row=row, id=row_id, label=label, vector=vector)
        chunk, within = divmod(local, self.rows_per_chunk)
        tokens = chunks["tokens"][chunk]
        position = within if self.manifest["position"] == "all" else self.manifest["position"]
        position = len(tokens) - 1 if position == "last" else position
        return ActivationRow(
            row=row,
            document=unpack_string(chunks["id_utf8"], chunks["id_ends"], chunk),
            offset=int(chunks["offset"][chunk]),
            position=position,
            token_id=int(tokens[position]),
            text=unpack_string(chunks["text_utf8"], chunks["text_ends"], chunk),
            vector=vector,
        )
