"""Terminal output of a profile."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console
from service.contracts.profile import Profile, ProfileSite
from service.contracts.statistics import Estimated, NullKind
from service.rounding import with_error

_NULLS: tuple[NullKind, ...] = ("gaussian", "permutation", "elliptical", "same_last_token")


def print_profile(profile: Profile) -> None:
    """A line for each site, by depth."""
    table = Table(
        title=f"{profile.name}: {profile.n:,} rows, d_model {profile.d_model}", title_justify="left", box=None
    )
    table.add_column("site", no_wrap=True)
    for name in (
        "norm",
        "NN mean",
        "of √(2 trΣ)",
        "dimension",
        "its null",
        *(kind.replace("_", " ") for kind in _NULLS),
    ):
        table.add_column(name, justify="right")
    for site in profile.sites:
        table.add_row(*_cells(site))
    table.caption = "the last columns: observed over null, over the null's bias; ± is half of the 95 % interval"
    table.caption_justify = "left"
    console.print(table)


def _cells(site: ProfileSite) -> list[str]:
    ratios = {ratio.kind: ratio for ratio in site.null_ratios}
    unit = site.nn_over_sqrt_2_total_variance
    return [
        site.site,
        f"{site.norm_mean:.4g}",
        _shown(site.nn_distance),
        "" if unit is None else f"{unit:.3f}",
        _shown(site.dimension),
        "" if site.null_dimension is None else f"{site.null_dimension:.1f}",
        *(_shown(ratios.get(kind)) for kind in _NULLS),
    ]


def _shown(found: Estimated | None) -> str:
    if found is None or found.value is None:
        return ""
    return with_error(found.value, found.interval)
