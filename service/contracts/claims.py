"""The claims of the paper that a reproduction judges: where each stands, what is printed, the rule and what it needs.

Statements are ours. A tolerance is fixed here, before anything is run, and printed in every report.
"""

from __future__ import annotations

from typing import Literal

from service.contracts.base import Contract

Scale = Literal["smoke", "small", "paper"]
Verdict = Literal["reproduced", "contradicted", "not_identifiable", "not_at_this_scale", "not_run"]
ClaimId = Literal[
    "E1", "P1", "P2", "P3", "Q12", "Q14", "D1", "A2", "A3", "F1a", "F1b", "F1c", "F1d", "F1e",
    "F2a", "F2b", "F3a", "F3b", "F3c", "G1", "G2", "T2", "AE", "U1",
]  # fmt: skip
PartName = Literal[
    "analysis", "descent", "questions", "questions_deep", "half_nouns", "one_noun", "few_lines", "table3", "seeds",
]  # fmt: skip
_ALWAYS: tuple[Scale, ...] = ("smoke", "small", "paper")
_NOT_SMOKE: tuple[Scale, ...] = ("small", "paper")
_PAPER: tuple[Scale, ...] = ("paper",)


class ClaimDefinition(Contract):
    """One claim.

    Attributes:
        decided_at: scales at which the rule gives the verdict; at others the numbers are shown, not judged.
        needs: parts of the reproduction whose jobs give the numbers; none for a claim that is computed.
    """

    id: ClaimId
    where: str
    statement: str
    printed: float | str | None
    unit: str | None = None
    tolerance: float | None
    rule: str
    decided_at: tuple[Scale, ...]
    needs: tuple[PartName, ...] = ()


CLAIMS: tuple[ClaimDefinition, ...] = (
    ClaimDefinition(
        id="E1",
        where="figure 1",
        statement="E and E_MCHN have similar landscapes on the two sets of three patterns.",
        printed=None,
        unit="attractors",
        tolerance=0,
        rule="Contradicted where the two energies have different numbers of attractors on a set.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="P1",
        where="proposition 1",
        statement="E lies between g − log d and g at every point.",
        printed="g − log d ≤ E ≤ g",
        unit="points",
        tolerance=0,
        rule="Reproduced if no point of the energy job violates the bounds; otherwise contradicted.",
        decided_at=_ALWAYS,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="P2",
        where="proposition 2",
        statement="E differs from 2 E_MCHN − log d by at most the spread Δ of the patterns' squared norms.",
        printed="|E − (2 E_MCHN − log d)| ≤ Δ",
        unit="points",
        tolerance=0,
        rule="Reproduced if no point of the energy job violates the bound; otherwise contradicted.",
        decided_at=_ALWAYS,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="P3",
        where="proposition 3",
        statement="g differs from 2 E_MCHN by at most Δ.",
        printed="−Δ ≤ g − 2 E_MCHN ≤ Δ",
        unit="points",
        tolerance=0,
        rule="Contradicted if a point violates the printed bound while the corrected one holds at every point.",
        decided_at=_ALWAYS,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="Q12",
        where="equation 12",
        statement="The printed formula gives the integral of exp(−‖y‖²) over a ball.",
        printed="2 π^(n/2) γ(n, r) / Γ(n/2)",
        unit="nats",
        tolerance=1e-6,
        rule="Contradicted if the logarithm of the formula is off by more than the tolerance anywhere.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="Q14",
        where="equation 14, proposition 5",
        statement="Z = 1 makes the number of parameters grow as the square of the number of tokens.",
        printed=2.0,
        unit="exponent",
        tolerance=0.1,
        rule="Contradicted if the exponent that follows with T and l fixed differs from 2 by more than the tolerance.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="D1",
        where="equation 6",
        statement="Each block moves its input towards the nearest stored pattern of its layer.",
        printed=None,
        unit="share of points",
        tolerance=0,
        rule="A block is better, worse or not told apart from its best null step by the 95 % interval of the paired "
        "difference. Reproduced if all are better, contradicted if one is worse, else not identifiable.",
        decided_at=_NOT_SMOKE,
        needs=("descent",),
    ),
    ClaimDefinition(
        id="A2",
        where="assumption 2",
        statement="Held-out points lie in the balls of stored patterns.",
        printed="all",
        unit="share of points",
        tolerance=0.95,
        rule="Reproduced if the interval of the share lies above the tolerance, contradicted if it lies below, else "
        "not at this scale.",
        decided_at=_NOT_SMOKE,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="A3",
        where="assumption 3",
        statement="The balls of the patterns are disjoint and each pattern is stored.",
        printed="all",
        unit="share of patterns",
        tolerance=0.95,
        rule="Reproduced if the share of patterns with a ball that provably attracts is above the tolerance; otherwise "
        "contradicted.",
        decided_at=_NOT_SMOKE,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="F1a",
        where="appendix F.1",
        statement="The nearest-neighbour distance is about 20 at 25, 50, 75 and 100 % of the sample.",
        printed=20.0,
        unit="distance",
        tolerance=2.0,
        rule="Reproduced if every interval, of means and medians, meets 20 ± the tolerance; otherwise contradicted.",
        decided_at=_PAPER,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="F1b",
        where="appendix F.1",
        statement="Mean and median distance fall as the sample grows.",
        printed=None,
        unit="distance",
        tolerance=0,
        rule="Reproduced if every interval of the paired difference (whole sample less fraction) lies below 0, "
        "contradicted if one lies above, else not at this scale.",
        decided_at=_NOT_SMOKE,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="F1c",
        where="appendix F.1, equation 14",
        statement="The radius is about √(n/2πe).",
        printed=7.74,
        unit="radius over √(n/2πe)",
        tolerance=0.3,
        rule="Not identifiable if a null model meets the same relation, or if vectors as stored and of mean norm √n "
        "are on different sides of it; else reproduced if the interval of the ratio lies within 1 ± the tolerance, "
        "contradicted if it lies outside. The tolerance is the gap that the paper accepts: 10 against 7.74.",
        decided_at=_NOT_SMOKE,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="F1d",
        where="appendix F.1",
        statement="A sample of 1 % of the documents gives too large a radius.",
        printed=None,
        unit="slope of log distance on log n",
        tolerance=0,
        rule="Reproduced if the interval of the slope lies below 0, contradicted if it lies above, else not at this "
        "scale.",
        decided_at=_NOT_SMOKE,
        needs=("analysis",),
    ),
    ClaimDefinition(
        id="F1e",
        where="appendix F.1",
        statement="The sample has 1 % of the documents and 0.2 % of the tokens.",
        printed="1 %, 0.2 %",
        unit="percentage points",
        tolerance=0.05,
        rule="Reproduced if both shares are within the tolerance of the printed ones; otherwise contradicted.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="F2a",
        where="appendix F.2",
        statement="The training loss of the Question-Formation models settles near 1.",
        printed=1.0,
        unit="nats per token",
        tolerance=0.02,
        rule="Reproduced if the mean of the last tenth of the logged losses is within the tolerance of 1; otherwise "
        "contradicted.",
        decided_at=_NOT_SMOKE,
        needs=("questions", "questions_deep"),
    ),
    ClaimDefinition(
        id="F2b",
        where="proposition 4, appendix F.2",
        statement="The loss is at least 1.",
        printed=1.0,
        unit="nats per token",
        tolerance=3.0,
        rule="Contradicted if a control ends below 1 by more than three standard errors; otherwise reproduced.",
        decided_at=_NOT_SMOKE,
        needs=("half_nouns", "one_noun", "few_lines"),
    ),
    ClaimDefinition(
        id="F3a",
        where="table 3",
        statement="The table's mean squared errors, and D* where they fall below 0.04.",
        printed="12 cells",
        unit="nats²",
        tolerance=0.01,
        rule="Reproduced if every printed cell is met within the tolerance and every D* is the printed one; otherwise "
        "contradicted.",
        decided_at=_PAPER,
        needs=("table3",),
    ),
    ClaimDefinition(
        id="F3b",
        where="table 3",
        statement="The number of parameters grows as the square of D*.",
        printed=2.0,
        unit="exponent",
        tolerance=0,
        rule="Reproduced if the exponent's interval holds 2 and excludes 1, not identifiable if it holds both, "
        "contradicted if it excludes 2.",
        decided_at=_PAPER,
        needs=("table3",),
    ),
    ClaimDefinition(
        id="F3c",
        where="table 3 as printed",
        statement="The printed table by itself supports the exponent 2.",
        printed=1.90,
        unit="exponent",
        tolerance=0.3,
        rule="Not identifiable if the exponents under the readings of the printed cells span more than the tolerance; "
        "else reproduced if 2 lies between them, otherwise contradicted.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="G1",
        where="appendix G.1",
        statement="The three printed configurations have 39.95, 60.26 and 80.20 million parameters.",
        printed="39.95, 60.26, 80.20 M",
        unit="million parameters",
        tolerance=0.01,
        rule="Reproduced if each printed configuration, with the feed-forward widths that fit best, has the printed "
        "number within the tolerance; otherwise contradicted.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="G2",
        where="appendix G.2",
        statement="The least validation loss of five runs agrees to two decimals.",
        printed="2 decimals",
        unit="nats per token",
        tolerance=0.01,
        rule="Reproduced if the range of the five least validation losses is below the tolerance; otherwise "
        "contradicted.",
        decided_at=_PAPER,
        needs=("seeds",),
    ),
    ClaimDefinition(
        id="T2",
        where="table 2",
        statement="The reported losses exceed 1 and agree with the scaling laws.",
        printed="2.2 to 2.5",
        unit="nats per token",
        tolerance=0.05,
        rule="Reproduced if every reported loss is above 1 and within the tolerance, relative, of a law; otherwise "
        "contradicted.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="AE",
        where="appendix E",
        statement="Attention and feed-forward layers of GPT-2 medium have 251.8 million parameters.",
        printed=251.8,
        unit="million parameters",
        tolerance=0.01,
        rule="Contradicted if the printed number is off by more than the tolerance, relative; otherwise reproduced.",
        decided_at=_ALWAYS,
    ),
    ClaimDefinition(
        id="U1",
        where="discussion",
        statement="The constants 2.2 and 1.61 of other work support L ≥ 1.",
        printed=1.61,
        unit="nats per token",
        tolerance=0.005,
        rule="Contradicted if the quoted constant differs from the published one by more than the tolerance.",
        decided_at=_ALWAYS,
    ),
)
BY_ID: dict[str, ClaimDefinition] = {claim.id: claim for claim in CLAIMS}
