"""The pretend GPU obeys the rules of CUDA's devices, and counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.devices.pretend import DEVICE, PretendGpu


def test_tensors_of_two_devices_do_not_mix():
    with PretendGpu():
        a, b = torch.ones(3, device=DEVICE), torch.ones(3)
        for mixed in (lambda: a + b, lambda: torch.cat([a, b]), lambda: a[torch.tensor([0])]):
            with pytest.raises(RuntimeError, match="same device"):
                mixed()
        with pytest.raises(TypeError, match="can't convert"):
            a.numpy()
        assert (a + torch.tensor(2.0)).device == a.sum().device == DEVICE  # a single number may be the host's


def test_launches_waits_and_bytes_are_counted():
    with PretendGpu() as gpu:
        a = torch.from_numpy(np.ones((4, 8), dtype=np.float32)).to(DEVICE)
        assert gpu.uploaded == 128
        assert gpu.launches.total() == gpu.waits.total() == 0
        b = (a.view(8, 4) * 2).sum(dim=1)
        assert gpu.launches == {"mul": 1, "sum": 1}
        assert gpu.waits.total() == 0
        assert float(b[0]) == 8.0
        assert b.cpu().tolist() == [8.0] * 8
        assert gpu.waits == {"_local_scalar_dense": 1, "copy to the host": 1}
        assert gpu.downloaded == 32
        assert len(a[a > 0]) == 32
        assert gpu.waits["index"] == 1


def test_gradients_are_on_the_device_too():
    with PretendGpu():
        weight = torch.ones(3, device=DEVICE, requires_grad=True)
        (weight * torch.arange(3.0, device=DEVICE)).sum().backward()
        assert weight.grad is not None
        assert weight.grad.device == DEVICE
        assert weight.grad.tolist() == [0.0, 1.0, 2.0]
