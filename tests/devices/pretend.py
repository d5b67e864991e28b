"""A pretend GPU: tensors that are computed on the CPU and obey the rules of CUDA's devices.

    with PretendGpu() as gpu:
        a = torch.ones(3, device="cuda:0")  # `a.device` is cuda:0
        a + torch.ones(3)                   # RuntimeError: two devices
        a.numpy()                           # TypeError
        float(a.sum())                      # gpu.waits += 1

It counts launches (operators that compute, as torch dispatches them), waits (the host must know a value, or a size),
and bytes copied to and from the device. `as_one_launch` makes a function stand for a kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

DEVICE = torch.device("cuda", 0)
_WAITING = (
    "_local_scalar_dense",
    "nonzero",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "masked_select",
    "bincount",
)
_WAITING_BY_MASK = ("index", "index_put", "index_put_", "_index_put_impl_")
_NO_LAUNCH = ("empty", "empty_like", "new_empty", "empty_strided", "detach", "lift_fresh", "_local_scalar_dense")


class OnGpu(Tensor):
    """A tensor whose device is said to be the GPU."""


class PretendGpu(TorchFunctionMode):
    """The device's rules and counts within a `with` block.

    Attributes:
        launches: by operator.
        waits: by operator.
        uploaded, downloaded: bytes.
        memory: bytes that the device is said to have, all free.
    """

    def __init__(self, memory: int = 2**34, capability: tuple[int, int] = (9, 0)) -> None:
        super().__init__()
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.uploaded = self.downloaded = 0
        self.memory, self.capability = memory, capability
        self.current: list[int] = []  # devices made current, by `torch.cuda.device` or `set_device`
        self._counting = _Counting(self)
        self._patches = ExitStack()

    def __enter__(self) -> PretendGpu:
        for name, value in self._cuda().items():
            self._patches.enter_context(patch.object(torch.cuda, name, value))
        self._patches.enter_context(patch.object(Tensor, "pin_memory", lambda tensor: tensor))
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # else a parameter keeps its class
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        self._patches.close()

    def reset(self) -> None:
        """Begin to count anew."""
        self.launches.clear()
        self.waits.clear()
        self.uploaded = self.downloaded = 0

    @contextmanager
    def as_one_launch(self, name: str) -> Iterator[None]:
        """Count what the block computes as one launch, and its waits as none: it stands for a kernel."""
        before = self.launches.copy(), self.waits.copy()
        yield
        self.launches, self.waits = before
        self.launches[name] += 1

    def _cuda(self) -> dict[str, Any]:
        event = SimpleNamespace(record=lambda *_: None, synchronize=lambda: None)
        about = SimpleNamespace(
            major=self.capability[0], minor=self.capability[1], multi_processor_count=132, total_memory=self.memory
        )

        @contextmanager
        def device(which: Any) -> Iterator[None]:
            self.current.append(torch.device(which).index if isinstance(which, torch.device | str) else which)
            yield

        return {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "device_count": lambda: 1,
            "get_device_properties": lambda *_: about,
            "get_device_capability": lambda *_: self.capability,
            "get_device_name": lambda *_: "pretend",
            "mem_get_info": lambda *_: (self.memory, self.memory),
            "memory_reserved": lambda *_: 0,
            "memory_allocated": lambda *_: 0,
            "empty_cache": lambda: None,
            "synchronize": lambda *_: self.waits.update(["synchronize"]),
            "Event": lambda *_, **__: event,
            "device": device,
            "set_device": lambda which: self.current.append(torch.device(which).index or 0),
        }

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        with torch._C.DisableTorchFunctionSubclass():
            return self._call(func, args, kwargs)

    def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", str(func))
        if name == "__get__":
            return self._attribute(func, args)
        if name == "_has_compatible_shallow_copy_type":
            return isinstance(args[0], OnGpu) == isinstance(args[1], OnGpu)
        if name in ("to", "cpu", "cuda"):
            return self._moved(name, func, args, kwargs)
        given = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        ours = [tensor for tensor in given if isinstance(tensor, OnGpu)]
        wanted = kwargs.get("device")
        here = bool(ours) if wanted is None else torch.device(wanted).type == "cuda"
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        if not ours:
            found = func(*args, **kwargs)
            return _wrapped(found) if here else found
        if name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        self._check(name, args, given)
        if name == "tolist":
            self.waits[name] += 1
            return _plain(args[0]).tolist()
        if name == "mm" and "out_dtype" in kwargs:  # which only CUDA has
            kind = kwargs.pop("out_dtype")
            args = tuple(_plain(part).to(kind) for part in args)
            self.launches["mm"] += 1
            return _wrapped(func(*args, **kwargs))
        with self._counting:
            found = func(*args, **kwargs)
        if name in ("copy_", "__setitem__") and len(ours) < len(given):
            self._count_copy(args)
        if name.endswith("_") and not name.endswith("__") and given and isinstance(args[0], Tensor):
            return args[0]
        return args[0] if name == "__setitem__" else _wrapped(found) if here else found

    def _attribute(self, func: Any, args: tuple[Any, ...]) -> Any:
        ours, wanted = isinstance(args[0], OnGpu), getattr(func.__self__, "__name__", "")
        if ours and wanted == "device":
            return DEVICE
        if ours and wanted == "is_cuda":
            return True
        found = func(*args)
        return _wrapped(found) if ours else found

    def _moved(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`to`, `cpu` and `cuda`: a copy between the devices is counted."""
        source = isinstance(args[0], OnGpu)
        target = {"cpu": False, "cuda": True}.get(name, source)
        others = []
        for value in (*args[1:], *kwargs.values()):
            if isinstance(value, Tensor):
                target, value = isinstance(value, OnGpu), _plain(value)
            elif isinstance(value, torch.device | str):
                target, value = torch.device(value).type == "cuda", torch.device("cpu")
            others.append(value)
        positional = others[: len(args) - 1]
        named = dict(zip(kwargs, others[len(args) - 1 :], strict=True))
        found = _plain(args[0]) if name != "to" else func(_plain(args[0]), *positional, **named)
        if source != target:
            found = found.clone()
            size = found.numel() * found.element_size()
            if target:
                self.uploaded += size
            else:
                self.downloaded += size
                self.waits["copy to the host"] += 1
        elif source and found.data_ptr() != _plain(args[0]).data_ptr():
            self.launches["to"] += 1
        return _wrapped(found) if target else found

    def _check(self, name: str, args: tuple[Any, ...], given: list[Tensor]) -> None:
        """Refuse tensors of two devices, where CUDA does: all but copies, single numbers, and CPU indices."""
        mixed = [tensor for tensor in given if not isinstance(tensor, OnGpu) and tensor.dim() > 0]
        if mixed and name not in ("copy_", "set_"):
            if name == "__setitem__" and isinstance(args[1], slice | int) and args[2] is mixed[0]:
                return
            raise RuntimeError(f"Expected all tensors to be on the same device: {name}, found cuda:0 and cpu")

    def _count_copy(self, args: tuple[Any, ...]) -> None:
        target, source = args[0], args[-1]
        if isinstance(source, Tensor) and source.dim() > 0:
            size = source.numel() * source.element_size()
            if isinstance(target, OnGpu):
                self.uploaded += size
            else:
                self.downloaded += size
                self.waits["copy to the host"] += 1


class _Counting(TorchDispatchMode):
    """Counts the operators that torch dispatches: views and allocations launch nothing."""

    def __init__(self, gpu: PretendGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name in _WAITING_BY_MASK and any(x is not None and x.dtype == torch.bool for x in args[1])
        single = name.startswith("index_put") and args[2].dim() == 0  # becomes a masked fill
        if name in _WAITING or (masks and not single):
            self._gpu.waits[name] += 1
        if not func.is_view and name not in _NO_LAUNCH:
            self._gpu.launches[name] += 1
        return func(*args, **(kwargs or {}))


def _plain(value: Any) -> Any:
    return value.as_subclass(Tensor) if isinstance(value, OnGpu) else value


def _wrapped(value: Any) -> Any:
    if isinstance(value, Tensor):
        if isinstance(value, OnGpu):
            return value
        if value.is_leaf and value.requires_grad:
            return value.detach().as_subclass(OnGpu).requires_grad_()
        return value.as_subclass(OnGpu)
    if isinstance(value, torch.Size):
        return value
    if type(value).__module__ == "torch.return_types":
        return type(value)([_wrapped(part) for part in value])
    if isinstance(value, list | tuple):
        return type(value)([_wrapped(part) for part in value])
    return value
