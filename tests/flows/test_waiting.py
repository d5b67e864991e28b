"""Jobs that wait for their segments ask the database seldom when they are many."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from workers.flows.waiting import Waiting


def test_few_look_at_the_full_rate_and_many_together_hardly_more_often():
    waiting = Waiting()
    with ExitStack() as stack:
        pauses = [stack.enter_context(waiting.pause(0.1)) for _ in range(256)]
    assert pauses[:4] == [0.1] * 4
    assert pauses == sorted(pauses)
    assert sum(1 / pause for pause in pauses) < 256  # looks in a second; each of them once a second would be as many


def test_who_has_waited_is_forgotten_whatever_came_of_it():
    waiting = Waiting()
    for _ in range(20):
        with pytest.raises(RuntimeError), waiting.pause(0.1):
            raise RuntimeError
    with waiting.pause(0.1) as pause_s:
        assert pause_s == 0.1
