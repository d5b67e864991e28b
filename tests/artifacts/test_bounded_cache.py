"""A cache keeps the most recently used values within its limit."""

from __future__ import annotations

import threading

from service.artifacts.bounded_cache import BoundedCache


def test_the_least_recently_used_value_goes_first():
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_costs_are_added_up_and_a_value_over_the_limit_is_not_kept():
    cache: BoundedCache[str, bytes] = BoundedCache(10, len)
    cache.put("a", bytes(6))
    cache.put("b", bytes(4))
    cache.put("c", bytes(11))
    assert [cache.get(key) is None for key in "abc"] == [False, False, True]
    cache.put("a", bytes(7))
    assert [cache.get(key) is None for key in "abc"] == [False, True, True]
    cache.put("a", bytes(11))
    assert cache.get("a") is None
    cache.put("d", bytes(10))
    assert cache.get("d") == bytes(10)


def test_threads_may_share_it():
    cache: BoundedCache[int, int] = BoundedCache(10)

    def work(offset: int) -> None:
        for number in range(2_000):
            cache.put((number * offset) % 30, number)
            cache.get(number % 30)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(cache.get(key) is not None for key in range(30)) <= 10
