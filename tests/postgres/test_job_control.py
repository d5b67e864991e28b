"""The tests of job control, on PostgreSQL."""

from tests.api.test_job_control import *  # noqa: F403
