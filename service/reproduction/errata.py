"""The errata of the formulas: what the theory answers note, each once, by the place that it names."""

from __future__ import annotations

from service.contracts.reproduction import Erratum
from service.theory.balance import balance_theory
from service.theory.ball_bounds import balls_theory
from service.theory.energy_bounds import ORIGIN_NOTE, PROPOSITION_2_NOTE, PROPOSITION_3_NOTE
from service.theory.figure1 import figure1_theory
from service.theory.loss import loss_theory
from service.theory.reported_losses import reported_losses_theory
from service.theory.scaling_laws import scaling_laws_theory
from service.theory.stopping_table import stopping_table_theory
from service.theory.transformer_size import transformer_size_theory

_N, _RADIUS, _PATTERNS = 1024, 7.743, 80_000


def errata() -> list[Erratum]:
    """Every note of the closed forms at the paper's own sizes."""
    answers = (
        figure1_theory(),
        balls_theory(_N, _RADIUS),
        balance_theory(_N, _PATTERNS),
        loss_theory(0.0),
        scaling_laws_theory(1.5e9, 22e9),
        reported_losses_theory(),
        stopping_table_theory(),
        transformer_size_theory("gpt2-medium"),
        transformer_size_theory("openelm-m2"),
    )
    of_bounds = (PROPOSITION_2_NOTE, PROPOSITION_3_NOTE, ORIGIN_NOTE)
    notes = dict.fromkeys([*of_bounds, *(note for answer in answers for note in answer["notes"])])
    return [_erratum(note) for note in notes]


def _erratum(note: str) -> Erratum:
    where, colon, text = note.partition(": ")
    return Erratum(where=where, text=text) if colon else Erratum(where="general", text=note)
