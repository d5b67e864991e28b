"""Small files that expand without end are refused while they are decoded, in bounded memory."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from service.contracts.corpora import CorpusSource
from service.errors import InvalidInput, TooLarge
from service.settings import MIB, Settings
from workers.corpora import compression, records
from workers.corpora.sources import read_documents

LINE = b'{"text": "' + b"x" * (MIB - 13) + b'"}\n'
COUNT = """
import sys
from pathlib import Path
from service.contracts.corpora import CorpusSource
from service.errors import TooLarge
from service.settings import Settings
from workers.corpora.sources import count_corpus

def most_kilobytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

before = most_kilobytes()
try:
    count_corpus(CorpusSource(path="."), Settings(data_dir=Path(sys.argv[1])))
except TooLarge as error:
    print(most_kilobytes() - before, error.detail)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path)
    made.make_folders()
    return made


@pytest.fixture
def few_free_bytes(monkeypatch: pytest.MonkeyPatch) -> int:
    """A quarter of what any file may expand to, to be quick."""
    monkeypatch.setattr(compression, "FREE_BYTES", compression.FREE_BYTES // 4)
    return compression.FREE_BYTES


def documents(settings: Settings) -> int:
    return sum(1 for _ in read_documents(CorpusSource(path="."), settings))


def zstd_bomb(mebibytes: int) -> bytes:
    packed = io.BytesIO()
    with zstandard.ZstdCompressor(level=19).stream_writer(packed, closefd=False) as writer:
        for _ in range(mebibytes):
            writer.write(LINE)
    return packed.getvalue()


def test_lines_of_a_bomb_are_refused_where_it_exceeds_the_ratio(settings: Settings, few_free_bytes: int):
    bomb, read = zstd_bomb(4), list[str]()
    assert 200 * len(bomb) < 4 * MIB
    (settings.corpora_root / "a.jsonl.zst").write_bytes(bomb)
    with pytest.raises(TooLarge, match=r"'a\.jsonl\.zst' expands to more than 200 times its \d+ bytes"):
        read.extend(document.id for document in read_documents(CorpusSource(path="."), settings))
    assert 1 <= len(read) <= few_free_bytes // MIB


@pytest.mark.parametrize("ending", [".gz", ".xz"])
@pytest.mark.usefixtures("few_free_bytes")
def test_text_of_a_bomb_is_refused(settings: Settings, ending: str):
    text = bytes(6 * MIB)
    small = gzip.compress(text) if ending == ".gz" else lzma.compress(text, preset=0)
    (settings.corpora_root / f"a.txt{ending}").write_bytes(small)
    with pytest.raises(TooLarge, match="expands to more than 50 times"):
        documents(settings.model_copy(update={"max_expansion": 50}))


@pytest.mark.usefixtures("few_free_bytes")
def test_repetitive_text_below_the_ratio_or_of_few_bytes_is_read(settings: Settings):
    lines = "".join(f'{{"text": "{random.Random(at).randbytes(5000).hex() * 100}"}}\n' for at in range(6)).encode()
    packed = gzip.compress(lines)
    assert 20 * len(packed) < len(lines)
    (settings.corpora_root / "a.jsonl.gz").write_bytes(packed)
    (settings.corpora_root / "b.jsonl.zst").write_bytes(zstd_bomb(1))
    assert documents(settings) == 7


def repeated(path: Path, text: str, rows: int) -> None:
    """A Parquet file that stores one text and refers to it from every row."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [text])
    pq.write_table(pa.table({"text": column}), path, compression="zstd", store_schema=False)


def test_a_text_that_rows_repeat_is_in_memory_once_and_refused_beyond_the_ratio(settings: Settings):
    """Of 364 bytes, which took 3.2 GB when every row of a batch had a copy."""
    path = settings.corpora_root / "a.parquet"
    repeated(path, "y" * (2 * MIB), 1800)
    assert path.stat().st_size < 500
    command = [sys.executable, "-c", COUNT, str(settings.data_dir)]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout
    kilobytes, _, detail = found.partition(" ")
    assert "'a.parquet' expands to more than 200 times its" in detail
    assert int(kilobytes) < 100 * 1024


@pytest.mark.usefixtures("few_free_bytes")
def test_a_row_group_that_says_it_expands_is_refused_before_it_is_decoded(settings: Settings):
    path = settings.corpora_root / "a.parquet"
    pq.write_table(pa.table({"text": ["z" * (6 * MIB)]}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size * 200 < 6 * MIB
    with pytest.raises(TooLarge, match=r"'a\.parquet' expands"):
        documents(settings)


def test_metadata_beyond_arrows_limits_has_a_name_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Its default limit is a million row groups, which take minutes to write."""
    pq.write_table(pa.table({"text": ["one"] * 3}), settings.corpora_root / "a.parquet", row_group_size=1)
    assert documents(settings) == 3
    monkeypatch.setattr(pq, "ParquetFile", partial(pq.ParquetFile, thrift_container_size_limit=1))
    with pytest.raises(InvalidInput, match="has more metadata than Arrow reads"):
        documents(settings)


def test_a_json_text_of_too_many_values_is_refused_before_it_is_parsed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(records, "_MOST_VALUES", 1000)
    for name, start, end in (("a.jsonl", b'{"text": "x", "a": [', b"]}\n"), ("a.json", b"[", b"]")):
        (settings.corpora_root / name).write_bytes(start + b"[]," * 600 + b"[]" + end)
        with pytest.raises(TooLarge, match="may have more than 1000 JSON values"):
            list(read_documents(CorpusSource(path=name), settings))
