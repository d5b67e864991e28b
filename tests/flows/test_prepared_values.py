"""A value that one segment keeps for the next one, and how it expires."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from threading import Timer
from typing import Any

import pytest

from tests.collection import earlier_objects_frozen
from workers.flows.engine.prepared_values import PreparedValue

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def _quick_collection() -> Iterator[None]:
    with earlier_objects_frozen():
        yield


class HandTimer(Timer):
    """A timer that rings when told, even after it was cancelled, as one that rang at the same moment does."""

    made: list[HandTimer]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.made.append(self)

    def start(self) -> None:
        """Time stands still."""

    def ring(self) -> None:
        self.function(*self.args)


@pytest.fixture
def prepared() -> PreparedValue[Large]:
    HandTimer.made = []
    return PreparedValue[Large](60.0, HandTimer)


class Large:
    """Something that can be watched going."""


def test_what_was_left_is_taken_once():
    prepared, value = PreparedValue[Large](60.0), Large()
    prepared.store("a", value)
    assert prepared.take("a", Large) is value
    assert prepared.take("a", Large) is not value


def test_another_key_makes_room_before_it_is_made():
    prepared, value = PreparedValue[Large](60.0), Large()
    gone = weakref.ref(value)
    prepared.store("a", value)
    del value

    def make() -> Large:
        gc.collect()
        assert gone() is None
        return Large()

    assert isinstance(prepared.take("b", make), Large)


def test_it_goes_by_itself():
    prepared, value = PreparedValue[Large](0.05), Large()
    gone = weakref.ref(value)
    prepared.store("a", value)
    del value
    deadline = time.monotonic() + PATIENCE_S
    while gone() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        gc.collect()


def test_a_timer_of_before_takes_nothing_that_was_left_since(prepared: PreparedValue[Large]):
    first, second = Large(), Large()
    prepared.store("a", first)
    prepared.store("a", second)
    earlier, _ = HandTimer.made
    earlier.ring()
    assert prepared.take("a", Large) is second


def test_its_own_timer_takes_it(prepared: PreparedValue[Large]):
    value = Large()
    prepared.store("a", value)
    HandTimer.made[-1].ring()
    assert prepared.take("a", Large) is not value


def test_it_is_held_through_other_work(prepared: PreparedValue[Large]):
    value = Large()
    prepared.store("a", value)
    with prepared.paused():
        (before,) = HandTimer.made
        before.ring()
    assert len(HandTimer.made) == 2  # its time begins again
    assert prepared.take("a", Large) is value
    with prepared.paused():
        pass  # nothing was left
    assert len(HandTimer.made) == 2


def test_what_fails_leaves_nothing_behind():
    prepared = PreparedValue[Large](60.0)
    value = Large()
    prepared.store("a", value)
    with pytest.raises(ValueError, match="failed"), prepared.paused():
        raise ValueError("failed")
    assert prepared.take("a", Large) is not value
