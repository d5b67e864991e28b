"""`radius corpora | models | presets | sets`: what a service has, newest first."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from rich.table import Table

from service.commands.options import AsJson, Limit, Url, open_client
from service.commands.output import console, print_json, say
from service.contracts.activations import ActivationSummary
from service.contracts.base import Contract
from service.contracts.corpora import Corpus
from service.sizes import shown_bytes

_SHOWN = 50


def corpora(limit: Limit = _SHOWN, url: Url = None, as_json: AsJson = False) -> None:
    """List corpora: the texts that a job may name, by id or by name."""
    with open_client(url) as client:
        found = list(islice(client.corpora(), limit))
    rows = [(corpus.id, corpus.name, corpus.state, _documents(corpus), _bytes(corpus)) for corpus in found]
    _show(found, ("id", "name", "state", "documents", "bytes"), rows, as_json)


def models(limit: Limit = _SHOWN, url: Url = None, as_json: AsJson = False) -> None:
    """List the model folders under the models root; a hub id may be named as well, where the hub can be reached."""
    with open_client(url) as client:
        found = list(islice(client.models(), limit))
    rows = [(model.id, model.family or "", _sizes(model.sizes), model.reason or "") for model in found]
    _show(found, ("model", "family", "layers × width", "not usable because"), rows, as_json)
    if not found and not as_json:
        say(
            "no models: `radius demo` trains a small one, and RADIUS_MODELS_DIR (by default `models` in the data "
            "directory) is where folders of your own belong"
        )


def presets(limit: Limit = _SHOWN, url: Url = None, as_json: AsJson = False) -> None:
    """List presets: named specs; with --json also what the paper states of each, and what is assumed."""
    with open_client(url) as client:
        found = list(islice(client.presets(), limit))
    _show(found, ("preset", "kind", "title"), [(preset.id, preset.kind, preset.title) for preset in found], as_json)


def sets(limit: Limit = _SHOWN, url: Url = None, as_json: AsJson = False) -> None:
    """List activation sets: the rows that a radius or energy job may name."""
    with open_client(url) as client:
        found = list(islice(client.activation_sets(), limit))
    rows = [(made.id, f"{made.n:,} × {made.d_model}", made.site or "imported", _name(made)) for made in found]
    _show(found, ("id", "rows", "site", "name"), rows, as_json)


def _show(found: Iterable[Contract], headings: tuple[str, ...], rows: list[tuple[Any, ...]], as_json: bool) -> None:
    """Print a table whose last column alone may be wrapped, or JSON."""
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=heading != headings[-1], overflow="fold")
    for row in rows:
        table.add_row(*row)
    if rows:
        console.print(table)


def _name(made: ActivationSummary) -> str:
    """The name without the site, which has a column of its own."""
    return made.name.removesuffix(made.site or "").rstrip()


def _documents(corpus: Corpus) -> str:
    return "" if corpus.documents is None else f"{corpus.documents:,}"


def _bytes(corpus: Corpus) -> str:
    return "" if corpus.bytes is None else shown_bytes(corpus.bytes)


def _sizes(sizes: dict[str, int]) -> str:
    return f"{sizes['n_layers']} × {sizes['d_model']}" if {"n_layers", "d_model"} <= sizes.keys() else ""
