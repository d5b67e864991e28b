"""Run all benchmarks, or those named."""

import sys

from tests.benchmarks import api, extraction, neighbors

BENCHMARKS = {"api": api.main, "extraction": extraction.main, "neighbors": neighbors.main}

for name in sys.argv[1:] or BENCHMARKS:
    BENCHMARKS[name]()
