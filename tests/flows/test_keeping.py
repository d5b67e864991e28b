"""What a segment leaves for the next one, and how it goes."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from tests.collection import earlier_objects_frozen
from workers.flows.keeping import Kept

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def _quick_collection() -> Iterator[None]:
    with earlier_objects_frozen():
        yield


class Large:
    """Something that can be watched going."""


def test_what_was_left_is_taken_once():
    kept, value = Kept[Large](60.0), Large()
    kept.leave("a", value)
    assert kept.take("a", Large) is value
    assert kept.take("a", Large) is not value


def test_another_key_makes_room_before_it_is_made():
    kept, value = Kept[Large](60.0), Large()
    gone = weakref.ref(value)
    kept.leave("a", value)
    del value

    def make() -> Large:
        gc.collect()
        assert gone() is None
        return Large()

    assert isinstance(kept.take("b", make), Large)


def test_it_goes_by_itself():
    kept, value = Kept[Large](0.05), Large()
    gone = weakref.ref(value)
    kept.leave("a", value)
    del value
    deadline = time.monotonic() + PATIENCE_S
    while gone() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        gc.collect()


def test_a_timer_of_before_takes_nothing_that_was_left_since():
    kept, first, second = Kept[Large](0.2), Large(), Large()
    kept.leave("a", first)
    time.sleep(0.1)
    kept.leave("a", second)
    time.sleep(0.15)
    assert kept.take("a", Large) is second


def test_it_is_held_through_other_work():
    kept, value = Kept[Large](0.05), Large()
    kept.leave("a", value)
    with kept.held():
        time.sleep(0.2)
    assert kept.take("a", Large) is value
    with kept.held():
        pass  # nothing was left


def test_what_fails_leaves_nothing_behind():
    kept = Kept[Large](60.0)
    value = Large()
    kept.leave("a", value)
    with pytest.raises(ValueError, match="failed"), kept.held():
        raise ValueError("failed")
    assert kept.take("a", Large) is not value
