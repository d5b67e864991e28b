"""Terminal output of the sites of a model."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console, say
from service.contracts.site_list import ModelSites
from service.contracts.site_names import LIBRARIES, Library

_TITLES: dict[Library, str] = {
    "transformer_lens_old": "TransformerLens",
    "transformer_lens_new": "TransformerLens 3",
    "huggingface": "Hugging Face",
    "vllm": "vLLM",
}


def print_sites(found: ModelSites) -> None:
    """A line for each site, with the names that libraries give it."""
    table = Table(box=None)
    table.add_column("site", no_wrap=True)
    libraries: list[Library] = [library for library in LIBRARIES if any(site.names[library] for site in found.data)]
    for library in libraries:
        table.add_column(_TITLES[library], overflow="fold")
    for site in found.data:
        table.add_row(site.site, *(", ".join(site.names[library]) for library in libraries))
    say(f"{found.model}: {found.title}; {found.n_layers} blocks, d_model {found.d_model}, context {found.n_ctx}")
    console.print(table)
