"""Claims that are computed: E1, Q12, Q14, F1e, F3c, G1, T2, AE and U1. They need no job, and are decided everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.contracts.reproduction import ChartMark, ClaimChart, ReproductionNumber
from service.reproduction.finding import Finding, number, shown
from service.reproduction.rules import equal_counts, losses_agree, readings_agree, within
from service.theory.ball_bounds import printed_log_ball_integral
from service.theory.balls import asymptotic_unit_radius, log_ball_integral
from service.theory.figure1 import figure1_theory
from service.theory.openelm_size import OPENELM, OpenELMSizes, openelm_size
from service.theory.reported_losses import TABLE_2
from service.theory.scaling_laws import CHINCHILLA, CHINCHILLA_PRINTED, corrected_losses
from service.theory.stopping import balance_exponent, optimal_tokens
from service.theory.stopping_table import TABLE_3, column_ratios, exponent_range
from service.theory.transformer_size import GPT2, gpt2_size, printed_gpt2_size
from service.theory.unit_partition import unit_partition_dimension

_SETS = {"two_dimensions": "two dimensions", "one_dimension": "one dimension"}
_GPT2_MEDIUM = 1024  # d_model of appendix F.1
_TOKENS_PER_PATTERN, _LAYERS, _CONSTANT = 1024, 8, 5.0  # T, l and A of appendix F.3; the exponents do not depend on A
_PATTERNS = np.geomspace(1e5, 1e7, 9)
_WIDTH_STEP = 64  # feed-forward widths that OpenELM may have
_TITLE_COUNTS = "numbers of attractors"


@dataclass(frozen=True)
class SampleShares:
    """The shares of its corpus that a job of the reproduction sampled."""

    documents: int
    documents_there: int | None
    tokens: int
    tokens_there: float | None  # estimated by the bytes of the sampled texts


def attractors_differ() -> Finding:
    """E1, theory of figure 1."""
    counts: list[list[int]] = []
    numbers: list[ReproductionNumber] = []
    marks: list[ChartMark] = []
    for name, place in _SETS.items():
        landscapes = figure1_theory()["corrected"][name]["landscapes"]
        counts.append([len(part["minima"]) for part in landscapes])
        for part in landscapes:
            label = "E" if part["energy"] == "energy" else f"E_MCHN, β = {part['beta']:g}"
            minima = "; ".join(f"({', '.join(f'{value:.4f}' for value in point)})" for point in part["minima"])
            numbers.append(number(f"{label}, {place}: minima", minima))
            marks.append(ChartMark(label=f"{label}, {place}", value=len(part["minima"])))
    pairs = "; ".join(
        f"in {place} E has {of[0]}, E_MCHN {' and '.join(str(count) for count in of[1:])}"
        for place, of in zip(_SETS.values(), counts, strict=True)
    )
    chart = ClaimChart(title=_TITLE_COUNTS, unit="attractors", marks=marks)
    return Finding(
        equal_counts(counts),
        f"{pairs[0].upper()}{pairs[1:]} attractors.",
        float(counts[0][0]),
        numbers=numbers,
        chart=chart,
    )


def ball_integral(d_models: Sequence[int], tolerance: float) -> Finding:
    """Q12 at the dimensions of the measured sets and of GPT-2 medium, at the paper's own radius."""
    dimensions = sorted({*d_models, _GPT2_MEDIUM})
    errors = []
    for n in dimensions:
        r = asymptotic_unit_radius(n)
        errors.append(printed_log_ball_integral(n, r) - log_ball_integral(n, r))
    worst = max(errors, key=abs)
    reason = f"At r = √(n/2πe) the logarithm of the printed formula is off by {shown(worst)} nats at worst."
    marks = [ChartMark(label=f"n = {n}", value=error) for n, error in zip(dimensions, errors, strict=True)]
    chart = ClaimChart(title="error of the printed integral", unit="nats", marks=marks, reference=0.0)
    numbers = [number(f"log error at n = {n}", error) for n, error in zip(dimensions, errors, strict=True)]
    return Finding(within(errors, tolerance), reason, worst, numbers=numbers, chart=chart)


def balance_of_data(tolerance: float) -> Finding:
    """Q14: the exponent of N in D = T·d with T and l fixed, where N = A·l·(n/T)², and by the correct integral."""
    by_upper_bound = [_parameters(d * d / math.pi) for d in _PATTERNS]
    truly = [_parameters(unit_partition_dimension(float(d))) for d in _PATTERNS]
    held = [_CONSTANT * _LAYERS / _TOKENS_PER_PATTERN * d * d / math.pi for d in _PATTERNS]  # A·l·d_emb/T held fixed
    found, true, literal = (_slope(values) for values in (by_upper_bound, truly, held))
    reason = (
        f"With T and l fixed the paper's step gives the exponent {shown(found)}; with A·l·d_emb/T held fixed, as the "
        f"paper has it, {shown(literal)}; the correct integral gives {shown(true, 2)}, as N grows with log D."
    )
    marks = [
        ChartMark(label="paper's step, T and l fixed", value=found),
        ChartMark(label="A·l·d_emb/T held fixed", value=literal),
        ChartMark(label="correct integral, T and l fixed", value=true),
    ]
    chart = ClaimChart(title="exponent of N in D", unit="exponent", marks=marks, reference=2.0, reference_label="2")
    numbers = [number(mark.label, mark.value) for mark in marks]
    return Finding(within([found - 2], tolerance), reason, found, numbers=numbers, chart=chart)


def _parameters(n: float) -> float:
    return _CONSTANT * _LAYERS * (n / _TOKENS_PER_PATTERN) ** 2


def _slope(parameters: Sequence[float]) -> float:
    return balance_exponent(list(parameters), [float(_TOKENS_PER_PATTERN * d) for d in _PATTERNS])


def shares_sampled(own: SampleShares | None, tolerance: float) -> Finding:
    """F1e: the paper's shares by its own numbers, in percentage points, and those of this job beside them."""
    documents, tokens = 100 * 80_000 / 8_013_769, 100 * 80_000 * 256 / 9e9
    numbers = [number("documents, %", documents), number("tokens, %", tokens)]
    if own is not None and own.documents_there:
        numbers.append(number("this job: documents, %", 100 * own.documents / own.documents_there))
    if own is not None and own.tokens_there:
        numbers.append(number("this job: tokens, %", 100 * own.tokens / own.tokens_there))
    shares = f"{shown(documents, 3)} % of the documents and {shown(tokens, 3)} % of the tokens"
    reason = f"80,000 chunks of 256 tokens are {shares}."
    return Finding(within([documents - 1, tokens - 0.2], tolerance), reason, documents, numbers=numbers)


def printed_table(span: float) -> Finding:
    """F3c: the exponent under every reading of Table 3 as printed."""
    parameters = [row.parameters for row in TABLE_3]
    low, high = exponent_range()
    readings = {
        "D* as marked": balance_exponent(parameters, [row.optimal_tokens for row in TABLE_3]),
        "first cell ≤ 0.04": balance_exponent(parameters, [_first(row) for row in TABLE_3]),
        "true D* in its grid cell, least": low,
        "true D* in its grid cell, largest": high,
    }
    readings |= {
        f"column {column + 1}": balance_exponent(parameters, [row.cells[column].tokens for row in TABLE_3])
        for column in range(4)
    }
    values = list(readings.values())
    reason = (
        f"Readings of the printed cells give exponents from {shown(min(values), 3)} to {shown(max(values), 3)}; any "
        "fixed column of the moving window has a near-constant N/D²."
    )
    marks = [ChartMark(label=name, value=value) for name, value in readings.items()]
    chart = ClaimChart(title="exponent of N in D*", unit="exponent", marks=marks, reference=2.0, reference_label="2")
    ratios = [
        number(f"column {column + 1}: N/D² of the three rows, 1e-10", ", ".join(f"{ratio * 1e10:.2f}" for ratio in of))
        for column, of in enumerate(column_ratios())
    ]
    numbers = [number("rows with a cell < 0.04", f"{_with_strict()} of {len(TABLE_3)}"), *ratios]
    measured, interval = readings["D* as marked"], (min(values), max(values))
    return Finding(readings_agree(values, span), reason, measured, interval, numbers=numbers, chart=chart)


def _first(row: object) -> float:
    found = optimal_tokens(row.cells, 0.04, strict=False)  # pyright: ignore[reportAttributeAccessIssue]
    assert found is not None
    return found


def _with_strict() -> int:
    return sum(optimal_tokens(row.cells, 0.04) is not None for row in TABLE_3)


def printed_configurations(tolerance: float) -> Finding:
    """G1: the numbers of parameters that come nearest with the printed dimension, and with 1216 for 1280."""
    numbers, misses = [], []
    for name, model in OPENELM.items():
        for d_model in dict.fromkeys((model.d_model, model.config.d_model)):
            found = _nearest_count(model.config, d_model, model.parameters) / 1e6
            numbers.append(number(f"{name}, dimension {d_model}: nearest to {model.parameters / 1e6:.2f} M", found))
            if d_model == model.d_model:
                misses.append(found - model.parameters / 1e6)
    worst = max(misses, key=abs)
    reason = f"The printed dimensions come within {shown(abs(worst), 2)} M of the printed numbers at worst."
    labels = [f"{name}, dimension {model.d_model}" for name, model in OPENELM.items()]
    marks = [ChartMark(label=label, value=miss) for label, miss in zip(labels, misses, strict=True)]
    chart = ClaimChart(title="nearest number less printed", unit="million parameters", marks=marks, reference=0.0)
    return Finding(within([round(miss, 2) for miss in misses], tolerance), reason, worst, numbers=numbers, chart=chart)


def _nearest_count(config: OpenELMSizes, d_model: int, wanted: int) -> float:
    """The number of parameters nearest to the wanted one over all sums of feed-forward widths in steps of 64."""
    layers = config.n_layers
    bare = OpenELMSizes(d_model, config.query_heads, config.kv_heads, (1,) * layers)
    without = openelm_size(bare).transformer - 3 * d_model * layers
    step = 3 * d_model * _WIDTH_STEP
    return without + max(layers, round((wanted - without) / step)) * step


def losses_of_laws(tolerance: float) -> Finding:
    """T2: Table 2 beside Chinchilla's law as published, Besiroglu's and Kaplan's."""
    losses, laws, numbers, marks = [], [], [], []
    for row in TABLE_2:
        predicted = corrected_losses(row.parameters, row.tokens)
        of_row = [predicted[name] for name in ("chinchilla", "chinchilla_besiroglu", "kaplan_joint")]
        losses.append(row.loss)
        laws.append(of_row)
        listed = ", ".join(f"{law:.3f}" for law in of_row)
        numbers.append(number(f"{row.model}: Chinchilla, Besiroglu, Kaplan (reported {row.loss})", listed))
        gap = min(abs(row.loss - law) / law for law in of_row)
        marks.append(ChartMark(label=row.model, value=100 * gap))
    worst = max(marks, key=lambda mark: mark.value)
    reason = (
        f"{sum(loss > 1 for loss in losses)} of {len(losses)} losses exceed 1; {worst.label} is "
        f"{shown(worst.value, 3)} % from the nearest of three laws."
    )
    chart = ClaimChart(
        title="distance to the nearest law",
        unit="%",
        marks=marks,
        reference=100 * tolerance,
        reference_label="tolerance",
    )
    return Finding(losses_agree(losses, laws, 1.0, tolerance), reason, worst.value, numbers=numbers, chart=chart)


def size_of_medium(tolerance: float) -> Finding:
    """AE: appendix E's sum against the true number of parameters in the blocks."""
    printed, true = printed_gpt2_size(GPT2["gpt2-medium"]).total, gpt2_size(GPT2["gpt2-medium"]).blocks
    off = printed / true - 1
    difference = f"the printed {printed / 1e6:.1f} M are {shown(100 * off, 3)} % off"
    reason = f"The blocks have {true / 1e6:.1f} M parameters; {difference}."
    numbers = [number("printed, M", printed / 1e6), number("in the blocks, M", true / 1e6)]
    return Finding(within([off], tolerance), reason, true / 1e6, numbers=numbers)


def quoted_constant(tolerance: float) -> Finding:
    """U1: the irreducible loss of eq. (1) as quoted and as published, and what a token's loss says of a pattern's."""
    quoted, published = CHINCHILLA_PRINTED.E, CHINCHILLA.E
    per_pattern = published * _TOKENS_PER_PATTERN
    reason = (
        f"The quoted {quoted} is published as {published}; both are nats per token, and {published} of them per token "
        f"are {shown(per_pattern)} per pattern of {_TOKENS_PER_PATTERN} tokens, for which L ≥ 1 is stated."
    )
    numbers = [number("quoted", quoted), number("published", published), number("per pattern", per_pattern)]
    return Finding(within([quoted - published], tolerance), reason, published, numbers=numbers)
