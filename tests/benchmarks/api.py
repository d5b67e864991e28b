"""What the API process costs: import time and memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

SCRIPT = "import psutil, service.app; print(psutil.Process().memory_info().rss)"


def main() -> None:
    """Against an empty interpreter in the same run."""
    ours, peer, memory = [], [], 0
    for _ in range(5):
        for command, times in ((SCRIPT, ours), ("import fastapi", peer)):
            began = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
            times.append(time.perf_counter() - began)
            memory = int(done.stdout or memory)
    a, b = statistics.median(ours), statistics.median(peer)
    print(f"import service.app: {a:.2f} s ({a / b:.1f} × import fastapi), {memory / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
