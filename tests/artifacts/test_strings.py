from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from service.artifacts.activation_set import save_tensors
from service.artifacts.strings import pack_strings, unpack_string


def unpacked(utf8: np.ndarray, ends: np.ndarray) -> list[str]:
    return [unpack_string(utf8, ends, index) for index in range(len(ends))]


@given(st.lists(st.text()))
def test_strings_come_back(texts: list[str]):
    utf8, ends = pack_strings(texts)
    assert (utf8.dtype, ends.dtype, len(ends)) == (np.uint8, np.int64, len(texts))
    assert unpacked(utf8, ends) == texts


@pytest.mark.parametrize("texts", [[], [""], ["", "", ""], ["", "é", "", "🙂二\x00", ""], ["x" * 100_000, "y"]])
def test_strings_come_back_from_a_file(tmp_path: Path, texts: list[str]):
    utf8, ends = pack_strings(texts)
    save_tensors(tmp_path / "a.safetensors", {"utf8": utf8, "ends": ends})
    stored = load_file(tmp_path / "a.safetensors")
    assert unpacked(stored["utf8"], stored["ends"]) == texts
