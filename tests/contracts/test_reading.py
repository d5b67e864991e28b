"""What an error says of a request with thousands of faults: few of them, after as little work."""

from __future__ import annotations

import pytest

from service.contracts import reading
from service.contracts.jobs import JobRequest
from service.contracts.reading import read_contract
from service.errors import InvalidInput


def test_thousands_of_unknown_fields_cost_as_much_as_few(monkeypatch: pytest.MonkeyPatch):
    compared, compare = [], reading.get_close_matches
    monkeypatch.setattr(reading, "get_close_matches", lambda *given: compared.append(given[0]) or compare(*given))
    unlike = {f"x{number:05}": 1 for number in range(10_000)}
    alike = {f"spec{number:05}": 1 for number in range(10_000)}
    with pytest.raises(InvalidInput) as unknown:
        read_contract(JobRequest, {"kind": "extraction", "spec": {}} | unlike)
    assert len(unknown.value.errors) == 1
    with pytest.raises(InvalidInput) as close:
        read_contract(JobRequest, {"kind": "extraction", "spec": {}, "labelz": 1} | alike)
    assert close.value.errors[0] == {"field": "labelz", "message": "is not a field; did you mean labels?"}
    assert len(close.value.errors) <= 20
    assert len(compared) <= 200
