from __future__ import annotations

import json

import pytest

from service.theory.balls import asymptotic_unit_radius, unit_volume_radius
from service.theory.radius import radius_theory, report_theory
from service.theory.unit_partition import unit_partition_radius

LITERAL = {"radius", "nn_distance"}
CORRECTED = {"unit_volume_radius", "unit_partition_radius", "nn_distance"}


def test_a_report_tells_both_readings_of_the_dimension():
    found = report_theory(1024, 80_000, 256)
    assert found["patterns"] == 80_000
    for key, fields in (("paper_literal", LITERAL), ("corrected", CORRECTED)):
        assert set(found[key]) == {"n", "sequence"} | fields
        assert set(found[key]["sequence"]) == {"n"} | fields
        assert (found[key]["n"], found[key]["sequence"]["n"]) == (1024, 256 * 1024)


@pytest.mark.parametrize(("d_model", "chunk_tokens"), [(1, 1), (32, 16), (1024, 1024)])
def test_the_radii_of_a_report_are_those_of_their_dimension(d_model: int, chunk_tokens: int):
    found = report_theory(d_model, 500, chunk_tokens)
    literal, corrected = found["paper_literal"], found["corrected"]
    for n, one, other in (
        (d_model, literal, corrected),
        (chunk_tokens * d_model, literal["sequence"], corrected["sequence"]),
    ):
        assert one["radius"] == asymptotic_unit_radius(n)
        assert one["nn_distance"] == 2 * one["radius"]
        assert other["unit_volume_radius"] == unit_volume_radius(n)
        assert other["unit_partition_radius"] == unit_partition_radius(n, 500)
        assert other["nn_distance"] == 2 * other["unit_volume_radius"]


def test_the_numbers_of_the_paper_are_in_a_report():
    found = report_theory(1024, 80_000, 1024)
    assert found["paper_literal"]["radius"] == pytest.approx(7.743063, abs=5e-7)
    assert found["corrected"]["unit_volume_radius"] == pytest.approx(7.773659, abs=5e-7)
    assert found["corrected"]["unit_partition_radius"] == pytest.approx(8.210470, abs=5.01e-7)
    assert found["paper_literal"]["sequence"]["radius"] == pytest.approx(247.778022, abs=5e-7)
    assert found["corrected"]["sequence"]["unit_volume_radius"] == pytest.approx(247.779795, abs=5e-7)
    assert found["corrected"]["sequence"]["unit_partition_radius"] == pytest.approx(264.930088, abs=5e-7)


def test_without_text_there_is_no_sequence():
    found = report_theory(16, 500, None)
    assert set(found["paper_literal"]) == {"n"} | LITERAL
    assert set(found["corrected"]) == {"n"} | CORRECTED
    assert not any("sequence" in note for note in found["notes"])
    assert any("sequence" in note for note in report_theory(16, 500, 8)["notes"])


def test_the_answer_of_the_api_is_the_first_reading():
    answer, report = radius_theory(1024, 80_000), report_theory(1024, 80_000, None)
    assert (answer["n"], answer["d"], answer["notes"]) == (1024, 80_000, report["notes"])
    assert answer["paper_literal"] | {"n": 1024} == report["paper_literal"]
    assert set(answer["corrected"]) == CORRECTED - {"nn_distance"}
    assert answer["corrected"].items() <= report["corrected"].items()
    assert json.loads(json.dumps(report_theory(1024, 80_000, 256), allow_nan=False)) == report_theory(1024, 80_000, 256)


def test_a_report_of_the_longest_chunks_of_a_wide_model_has_its_theory():
    found = report_theory(2**16, 80_000, 2**20)
    assert found["corrected"]["sequence"]["unit_partition_radius"] == pytest.approx(0.2587219 * 2**18, rel=1e-6)
