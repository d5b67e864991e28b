"""Run all benchmarks, or those named."""

import sys

from tests.benchmarks import (
    api,
    edge,
    energies,
    estimates,
    event_streams,
    extraction,
    jobs,
    load,
    neighbors,
    page,
    scale_out,
    training,
    utilisation,
)

BENCHMARKS = {
    "api": api.main,
    "edge": edge.main,
    "extraction": extraction.main,
    "energies": energies.main,
    "estimates": estimates.main,
    "event_streams": event_streams.main,
    "jobs": jobs.main,
    "load": load.main,
    "neighbors": neighbors.main,
    "page": page.main,
    "scale_out": scale_out.main,
    "training": training.main,
    "utilisation": utilisation.main,
}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
