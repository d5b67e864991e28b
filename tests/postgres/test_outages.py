"""Every way of not reaching the server is one that the job engine waits out."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos._utils import retriable_postgres_exception
from sqlalchemy.exc import OperationalError

from service.jobs.outages import wait_out_outages

AWAY = {
    "no socket": "postgresql+psycopg:///radius?host={missing}",
    "no such host": "postgresql+psycopg://radius.invalid/radius",
    "refused": "postgresql+psycopg://127.0.0.1:1/radius",
}


@pytest.mark.parametrize("url", AWAY.values(), ids=AWAY)
def test_a_server_that_is_away_is_waited_for(url: str, tmp_path: Path):
    """By the engine's own rule, which is private: an upgrade that changes it fails here."""
    wait_out_outages()
    wait_out_outages()
    with pytest.raises(OperationalError) as away:
        sa.create_engine(url.format(missing=tmp_path / "missing")).connect()
    assert retriable_postgres_exception(away.value)


def test_a_file_that_cannot_be_opened_is_no_outage(tmp_path: Path):
    wait_out_outages()
    with pytest.raises(OperationalError) as failed:
        sa.create_engine(f"sqlite:///{tmp_path}/missing/radius.sqlite").connect()
    assert not failed.value.connection_invalidated
