"""Charts of profiles, energies, trainings and sweeps."""

from __future__ import annotations

from collections.abc import Sequence

from service.contracts.energy_report import EnergyReport
from service.contracts.profile import Profile
from service.contracts.sweeps import Sweep
from service.contracts.training import MetricsRow, TrainingRun
from service.dashboard.charts import Chart, Series, density, estimates
from service.dashboard.distances import NULL_NAMES

_DEPTH = "depth in blocks"


def profile_charts(profile: Profile) -> list[Chart]:
    """Distance, dimension and null ratios over depth, with their intervals."""
    sites = profile.sites
    depth = [site.depth for site in sites]
    kinds = [ratio.kind for ratio in sites[0].null_ratios] if sites else []
    ratios = [
        estimates(NULL_NAMES[kind], depth, [next(r for r in site.null_ratios if r.kind == kind) for site in sites])
        for kind in kinds
        if all(any(r.kind == kind for r in site.null_ratios) for site in sites)
    ]
    null_dimension = Series("Gaussian null", depth, [site.null_dimension for site in sites])
    dimension = [estimates("TwoNN", depth, [site.dimension for site in sites]), null_dimension]
    distance = [estimates("mean ± 95 %", depth, [site.nn_distance for site in sites])]
    of = f"{len(sites)} sites of {profile.name}"
    return [
        Chart("distance", "Nearest-neighbour distance", _DEPTH, "mean distance", f"Mean distance at {of}.", distance),
        Chart("dimension", "Intrinsic dimension", _DEPTH, "dimension", f"TwoNN dimension at {of}.", dimension),
        Chart("ratios", "Observed over null", _DEPTH, "ratio", f"Distance over that of null models at {of}.", ratios),
    ]


def energy_charts(report: EnergyReport) -> list[Chart]:
    """g, and β(E − g) at the first β, of each layer."""
    names = [layer.site or layer.name for layer in report.layers]
    g = [density(name, layer.g.histogram) for name, layer in zip(names, report.layers, strict=True)]
    shifted = [
        density(name, layer.energies[0].beta_energy_minus_g.histogram)
        for name, layer in zip(names, report.layers, strict=True)
        if layer.energies and layer.energies[0].beta_energy_minus_g is not None
    ]
    charts = [Chart("g", "g", "squared distance to the nearest pattern", "share per unit", "Distribution of g.", g)]
    if shifted:
        text = "Distribution of β(E − g), which Prop. 1 bounds by −log d and 0."
        charts.append(Chart("energy", "Energy above its bound", "β (E − g)", "share per unit", text, shifted))
    return charts


def training_chart(run: TrainingRun, rows: Sequence[MetricsRow]) -> Chart:
    """Training and validation loss over steps, beside the run's reference lines."""
    steps = [row.step for row in rows]
    evaluated = [row for row in rows if row.val_loss is not None]
    ends = [steps[0], steps[-1]] if rows else []
    series = [
        Series("training loss", steps, [row.train_loss for row in rows]),
        Series("validation loss", [row.step for row in evaluated], [row.val_loss for row in evaluated], "points"),
        *(Series(name.replace("_", " "), ends, [loss] * len(ends)) for name, loss in run.reference_lines.items()),
    ]
    text = f"Losses of {run.name} over {run.step:,} of {run.steps:,} steps."
    return Chart("losses", "Losses", "step", "nats per token", text, series)


def sweep_chart(sweep: Sweep) -> Chart | None:
    """MSE(L_train, least L_val) over D by model, before the least validation loss, beside σ²."""
    table = (sweep.tables or {}).get("before")
    if table is None:
        return None
    series = []
    for row in table.rows:
        intervals = [None if cell.interval is None else (cell.interval[0], cell.interval[1]) for cell in row.cells]
        d = [cell.tokens for cell in row.cells]
        series.append(Series(row.model, d, [cell.mse for cell in row.cells], "points", intervals))
    d = sorted({cell.tokens for row in table.rows for cell in row.cells})
    if d:
        series.append(Series("σ²", [d[0], d[-1]], [table.threshold] * 2))
    text = "Mean squared gap of training and least validation loss over the number of tokens D, by model."
    return Chart("mse", "Stopping rule", "D, tokens", "MSE, nats²", text, series, log_x=True, log_y=True)
