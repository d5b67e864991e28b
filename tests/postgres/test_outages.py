"""Every way of not reaching the server is one that the job engine waits out."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from dbos._utils import retriable_postgres_exception
from sqlalchemy.exc import OperationalError

from service.jobs.outages import wait_out_outages

AWAY = {
    "no socket": "postgresql+psycopg:///radius?host=/nonexistent",
    "no such host": "postgresql+psycopg://radius.invalid/radius",
    "refused": "postgresql+psycopg://127.0.0.1:1/radius",
}


@pytest.mark.parametrize("url", AWAY.values(), ids=AWAY)
def test_a_server_that_is_away_is_waited_for(url: str):
    """By the engine's own judgement, which is private: an upgrade that judges otherwise is seen here."""
    wait_out_outages()
    wait_out_outages()
    with pytest.raises(OperationalError) as away:
        sa.create_engine(url).connect()
    assert retriable_postgres_exception(away.value)


def test_a_file_that_cannot_be_opened_is_no_outage():
    wait_out_outages()
    with pytest.raises(OperationalError) as failed:
        sa.create_engine("sqlite:////nonexistent/radius.sqlite").connect()
    assert not failed.value.connection_invalidated
