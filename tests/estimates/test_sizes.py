"""Sizes in messages: never 0 of something, and two that differ never read alike."""

from __future__ import annotations

import pytest

from service.sizes import shown_apart, shown_bytes


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (52_428_800, "50 MiB"),
        (2**30 - 1, "1 GiB"),
        (2**30, "1 GiB"),
        (1000 * 2**20, "1000 MiB"),
        (2**62, "4096 PiB"),
    ],
)
def test_a_size_has_three_digits_in_its_unit(count: int, shown: str):
    assert shown_bytes(count) == shown


def test_sizes_that_differ_in_the_fourth_digit_are_shown_to_the_byte():
    assert shown_apart(2000, 1000) == ("1.95 KiB", "1000 B")
    assert shown_apart(1_048_577, 1_048_576) == ("1,048,577 bytes", "1,048,576 bytes")
