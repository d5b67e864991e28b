"""`radius report`: which call reads a product, which lines show it, and where its files go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.client import Client
from service.commands.energies import print_energy_report
from service.commands.guesses import expect
from service.commands.profile import print_profile
from service.commands.radius import print_report
from service.commands.sweeps import print_sweep
from service.commands.training import print_training_run
from service.commands.verdicts import print_reproduction
from service.contracts.energy_report import EnergyReport
from service.contracts.profile import Profile
from service.contracts.radius import RadiusReport
from service.contracts.reproduction import ReproductionReport
from service.contracts.sweeps import Sweep
from service.contracts.training import TrainingRun
from service.errors import InvalidInput

Report = RadiusReport | EnergyReport | Profile | TrainingRun | Sweep | ReproductionReport


def read_report(client: Client, report_id: str) -> Report:
    """The product of that id, by the kind that the id begins with.

    Raises:
        InvalidInput: the id of something that has no report.
    """
    read = {
        "run": client.training,
        "sweep": client.sweep,
        "energy": client.energy,
        "profile": client.profile,
        "reproduction": client.reproduction,
    }
    beginning = report_id.split("-", 1)[0]
    if beginning not in read:
        expect(report_id, "radius")
    return read.get(beginning, client.radius)(report_id)


def print_any_report(found: Report, *, radii: bool = False) -> None:
    """Print a product; `radii` as `print_report`."""
    if isinstance(found, RadiusReport):
        print_report(found, radii=radii)
    elif isinstance(found, TrainingRun):
        print_training_run(found)
    elif isinstance(found, Sweep):
        print_sweep(found)
    elif isinstance(found, Profile):
        print_profile(found)
    elif isinstance(found, ReproductionReport):
        print_reproduction(found)
    else:
        print_energy_report(found)


def targets(path: Path, ids: Sequence[str], option: str, endings: Sequence[str]) -> list[Path]:
    """The path of each product's file: `path`, or with several products one file for each, with its id.

    Raises:
        InvalidInput: the name has another ending; the message has the option.
    """
    if path.suffix.removeprefix(".") not in endings:
        *first, last = (f".{ending}" for ending in endings)
        raise InvalidInput(f"the name of {option} must end in {', '.join(first)} or {last}")
    return [path] if len(ids) == 1 else [path.with_stem(f"{path.stem}-{each}") for each in ids]
