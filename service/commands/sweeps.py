"""A sweep as Table 3: the MSE of every cell, D*, N/D*², and the exponents."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from service.commands.output import console, say
from service.contracts.sweeps import GENERALISED, Exponent, SeedAccuracies, StoppingCell, StoppingTable, Sweep

_RULES = {
    "strict": "<",
    "at_most": "≤",
    "printed_strict": "rounded <",
    "printed_at_most": "rounded ≤",
    "interpolated": "interpolated",
}


def print_sweep(sweep: Sweep) -> None:
    """Print what each seed of Question-Formation learned, or losses of runs at one D, or Table 3 over several D."""
    ended = sum(run.step == run.steps for run in sweep.runs)
    say(f"{sweep.name} ({sweep.id}): {ended} of {len(sweep.runs)} runs at their end")
    for run in sweep.runs:
        if run.error is not None:
            say(f"{run.run} ({run.model}, seed {run.seed}): {run.error['detail']}", "failed:", "red")
    if sweep.seeds is not None:
        _print_seeds(sweep.seeds)
    elif sweep.tables is None:
        _print_runs(sweep)
    for side, found in (sweep.tables or {}).items():
        _print_cells(side, found)
        _print_stopping(found)
    for note in sweep.notes:
        say(f"· {note}")


def _print_runs(sweep: Sweep) -> None:
    table = Table("run", "step", "train loss", "val loss", box=None)
    for run in sweep.runs:
        losses = [_number(run.losses.get(name), ".4f") for name in ("train_loss", "val_loss")]
        table.add_row(f"{run.model}, seed {run.seed}", f"{run.step:,}", *losses)
    console.print(table)


def _print_seeds(seeds: list[SeedAccuracies]) -> None:
    """Shares of questions whose first word is right, i.i.d. and of the withheld kind, at the newest evaluation."""
    heads = (
        "step",
        "val loss",
        "i.i.d. right",
        "withheld right",
        "at best",
        "move-first",
        f"≥ {GENERALISED:.0%} at step",
    )
    table = Table("run", *heads, box=None)
    several = len({seed.model for seed in seeds}) > 1
    for seed in seeds:
        table.add_row(
            f"{seed.model}, seed {seed.seed}" if several else f"seed {seed.seed}",
            _number(seed.step, ","),
            _number(seed.val_loss, ".4f"),
            _number(seed.val_first_auxiliary, ".1%"),
            _number(seed.gen_first_word, ".1%"),
            _number(seed.best_gen_first_word, ".1%"),
            _number(seed.gen_move_first, ".1%"),
            _number(seed.generalised_at, ","),
        )
    console.print(table)


def _print_cells(side: str, found: StoppingTable) -> None:
    """Print the MSE as gap² + variance, mean over seeds, bold below the threshold; then what was not measured."""
    tokens = sorted({cell.tokens for row in found.rows for cell in row.cells})
    title = f"MSE {side} the least validation loss = gap² + variance (nats²); σ² = {found.threshold:g}"
    say(title)
    table = Table("model", "N", *(f"D = {_short(size)}" for size in tokens), box=None)
    reasons: dict[str, list[str]] = {}
    for row in found.rows:
        by_tokens = {cell.tokens: cell for cell in row.cells}
        table.add_row(row.model, _short(row.parameters), *(_cell(by_tokens[size], found.threshold) for size in tokens))
        for cell in row.cells:
            if cell.reason is not None:
                reasons.setdefault(cell.reason, []).append(f"{row.model} at {_short(cell.tokens)}")
    console.print(table)
    for reason, places in reasons.items():
        say(f"not measured, {reason}: {', '.join(places)}")


def _cell(cell: StoppingCell, threshold: float) -> Text:
    if cell.mse is None:
        return Text("–")
    text = f"{cell.mse:.4f}\n{cell.mean_gap_sq:.4f}+{cell.variance:.4f}"
    return Text(text, style="bold" if cell.mse < threshold else "")


def _print_stopping(found: StoppingTable) -> None:
    heads = [f"D* ({_RULES[rule]})" for rule in _RULES]
    table = Table("model", *heads, "95 %", "of", "N/D*²", box=None)
    for row in found.rows:
        interval = "–" if row.interval is None else f"{_short(row.interval[0])} – {_short(row.interval[1])}"
        rules = [_short(row.optimal_tokens[rule]) for rule in _RULES]
        ratio = row.parameters_per_token_squared["interpolated"]
        table.add_row(row.model, *rules, interval, row.interval_of or "–", _number(ratio, ".3g"))
    console.print(table)
    for row in found.rows:
        for reason in dict.fromkeys(row.reasons.values()):
            rules = ", ".join(_RULES[rule] for rule, other in row.reasons.items() if other == reason)
            say(f"{row.model}, {rules}: {reason}")
    for name, exponent in found.exponents.items():
        say(f"N ∝ D*^p, {_RULES.get(name, 'plane of log MSE')}: p = {_exponent(exponent)}")
    for law in found.laws:
        if law.spread is not None:
            say(f"{law.law}: N/D*^{law.power:g} varies by a factor {law.spread:.2f}")


def _exponent(exponent: Exponent) -> str:
    if exponent.value is None:
        return "– (a D* is missing)"
    if exponent.interval is None:
        return f"{exponent.value:.2f}"
    low, high = exponent.interval
    return f"{exponent.value:.2f} ({low:.2f} to {high:.2f}, 95 % of {exponent.interval_of})"


def _short(value: float | None) -> str:
    """1234567 → 1.23M."""
    if value is None:
        return "–"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
