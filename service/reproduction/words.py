"""Numbers, verdicts and links as both documents print them."""

from __future__ import annotations

from service.contracts.reproduction import ClaimResult, PartRun, ReproductionReport
from service.contracts.statistics import Interval

VERDICTS = {
    "reproduced": "reproduced",
    "contradicted": "contradicted",
    "not_identifiable": "not identifiable",
    "not_at_this_scale": "not at this scale",
    "not_run": "not run",
}
MARKS = {"reproduced": "✓", "contradicted": "✗", "not_identifiable": "≈", "not_at_this_scale": "…", "not_run": "–"}


def value_text(value: float | str | None, digits: int = 5) -> str:
    """A value of a table."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.{digits}g}"


def interval_text(interval: Interval | None) -> str:
    """An interval of a table."""
    return "–" if interval is None else f"[{interval[0]:.5g}, {interval[1]:.5g}]"


def printed_text(claim: ClaimResult) -> str:
    """The paper's value, with its unit where it is a number."""
    unit = f" {claim.unit}" if isinstance(claim.printed, float) and claim.unit else ""
    return f"{value_text(claim.printed)}{unit}"


def measured_text(claim: ClaimResult) -> str:
    """The measured number, with its interval where it has one."""
    interval = "" if claim.interval is None else f", 95 % {interval_text(claim.interval)}"
    return f"{value_text(claim.measured)}{interval}"


def counts_text(report: ReproductionReport) -> str:
    """The number of claims with each verdict."""
    found = [claim.verdict for claim in report.claims]
    return ", ".join(f"{found.count(name)} {text}" for name, text in VERDICTS.items() if name in found)


def run_text(run: PartRun) -> str:
    """A line on the job that was run for a part."""
    facts = [run.kind, *([f"preset {run.preset}"] if run.preset else []), f"state {run.state}"]
    facts += [f"seed {run.seed}"] if run.seed is not None else []
    facts += [f"model {run.model}"] if run.model else []
    facts += [f"corpus {run.corpus}"] if run.corpus else []
    facts += [f"{name} SHA-256 {digest[:16]}" for name, digest in run.hashes.items()]
    facts += ["a finished job was used again"] if run.reused else []
    facts += [f"error: {run.error.get('detail', '')}"] if run.error else []
    return "; ".join(facts)
