"""Terminal output of a profile."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from service.commands.output import console, say
from service.contracts.profile import Profile, ProfileSite
from service.contracts.statistics import Estimated, NullKind
from service.rounding import with_error

_NULLS: tuple[NullKind, ...] = ("gaussian", "permutation", "elliptical", "same_last_token")


def print_profile(profile: Profile) -> None:
    """A line for each site, by depth."""
    say(f"{profile.name}: {profile.n:,} rows, d_model {profile.d_model}")
    scales = ("norm", "NN mean", "of √(2 trΣ)", "dimension", "its null")
    console.print(_table(scales, [(site.site, *_scale_cells(site)) for site in profile.sites]))
    if not any(site.null_ratios for site in profile.sites):
        say("no dimension and no null models: the reports have no statistics; ask for radius.statistics=true")
        return
    say("observed over null, over the null's bias; ± is half of the 95 % interval")
    nulls = tuple(kind.replace("_", " ") for kind in _NULLS)
    console.print(_table(nulls, [(site.site, *_null_cells(site)) for site in profile.sites]))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose first column is the site, whole."""
    table = Table(box=None)
    table.add_column("site", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _scale_cells(site: ProfileSite) -> list[str]:
    unit = site.nn_over_sqrt_2_total_variance
    return [
        f"{site.norm_mean:.4g}",
        _shown(site.nn_distance),
        "" if unit is None else f"{unit:.3f}",
        _shown(site.dimension),
        "" if site.null_dimension is None else f"{site.null_dimension:.1f}",
    ]


def _null_cells(site: ProfileSite) -> list[str]:
    ratios = {ratio.kind: ratio for ratio in site.null_ratios}
    return [_shown(ratios.get(kind)) for kind in _NULLS]


def _shown(found: Estimated | None) -> str:
    if found is None or found.value is None:
        return ""
    return with_error(found.value, found.interval)
