"""The tests of segments' owners, on PostgreSQL."""

from tests.api.test_segment_owners import *  # noqa: F403
