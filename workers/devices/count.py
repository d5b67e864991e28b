"""The number of GPUs that torch sees, for processes that do not load torch: `python -m workers.devices.count`."""

from __future__ import annotations

import json
import sys

import torch

from workers.devices.device import unused_gpu

if __name__ == "__main__":
    json.dump({"gpus": torch.cuda.device_count(), "reason": unused_gpu() or ""}, sys.stdout)
