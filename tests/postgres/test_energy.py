"""The tests of energy reports, on PostgreSQL."""

from tests.api.test_energy import *  # noqa: F403
