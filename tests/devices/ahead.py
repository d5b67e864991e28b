"""The kernels compiled ahead of time, without a GPU: `python -m tests.devices.ahead` prints their resources.

JSON: a list of objects with the kernel, the architecture, the format, registers and stack (bytes) of a thread, shared
memory (bytes) of a program, loads and stores of spilled registers, and instructions for tensor cores.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from workers.energy.tile_scan import SCAN_SHAPE
from workers.neighbors.appending import KernelShape, kernel_shape

ARCHITECTURES = (80, 86, 90, 100)
FORMATS = ("fp16", "bf16")
_COLUMNS = 1088  # of an encoding of 1,024 dimensions
_SCAN = {"k": 64, "most": 16, "kept": 64, "beta_count": 2, "beta_room": 2, "lifted": True, "singly": True}
_SCAN |= {name: size for name, size in SCAN_SHAPE.items() if name != "num_warps"}
_SCAN_TYPES = dict.fromkeys(
    (
        "products",
        "lifts",
        "norms",
        "longest",
        "largest_lifts",
        "betas",
        "minima",
        "least",
        "pool_values",
        "pool_lowers",
    ),
    "*fp32",
)
_SCAN_TYPES |= dict.fromkeys(("best", "sums"), "*fp64") | dict.fromkeys(("pool_rows", "pool_places", "count"), "*i32")
_SCAN_TYPES |= dict.fromkeys(("heavy", "gamma", "absolute", "lift_unit"), "fp32") | {"own": "*i64", "crowded": "*i8"}
_TENSOR_CORES = r"\b(HGMMA|HMMA|UTCHMMA)\b"


def compile_strips(architecture: int, dtype: str) -> dict[str, Any]:
    """Compile the kernel of strips as a search would, and read what it needs."""
    from workers.neighbors.strip_kernel import append_kernel

    kernel: Any = append_kernel
    shape = kernel_shape(divmod(architecture, 10))
    constants = _constants(shape)
    types = {name: _type_of(name, dtype, constants) for name in kernel.arg_names}
    return {"kernel": "strips", "architecture": architecture, "format": dtype} | _compile(
        kernel, architecture, types, constants, {"num_warps": shape.warps, "num_stages": shape.stages}
    )


def compile_scans(architecture: int) -> dict[str, Any]:
    """Compile the kernel that scans tiles of energies: two β, 64 neighbours, bounds by pair, with lifts."""
    from workers.energy.scan_kernel import scan_kernel

    kernel: Any = scan_kernel
    types = {name: _SCAN_TYPES.get(name, "constexpr" if name in _SCAN else "i32") for name in kernel.arg_names}
    return {"kernel": "scans", "architecture": architecture, "format": "fp32"} | _compile(
        kernel, architecture, types, _SCAN, {"num_warps": SCAN_SHAPE["num_warps"]}
    )


def _compile(
    kernel: Any, architecture: int, types: dict[str, str], constants: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    from triton import compile as compile_kernel  # pyright: ignore[reportMissingImports]
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]
    from triton.compiler import ASTSource  # pyright: ignore[reportMissingImports]

    aligned = {(at,): [["tt.divisibility", 16]] for at, name in enumerate(kernel.arg_names) if types[name][0] == "*"}
    source = ASTSource(fn=kernel, signature=types, constexprs=constants, attrs=aligned)
    made = compile_kernel(source, target=GPUTarget("cuda", architecture, 32), options=options)
    return {"shared": made.metadata.shared} | _read(made.asm["cubin"])


def compile_all(architecture: int) -> list[dict[str, Any]]:
    """Both kernels, the first in every format."""
    return [*(compile_strips(architecture, dtype) for dtype in FORMATS), compile_scans(architecture)]


def _constants(shape: KernelShape) -> dict[str, Any]:
    sizes = {"rows_here": shape.rows, "columns_here": shape.columns, "depth": shape.depth}
    return sizes | {
        "slice_rows": shape.slice_rows,
        "flat": shape.flat,
        "columns": _COLUMNS,
        "symmetric": True,
        "by_code": True,
    }


def _type_of(name: str, dtype: str, constants: dict[str, Any]) -> str:
    if name in constants:
        return "constexpr"
    if name in ("left", "right"):
        return f"*{dtype}"
    if name.endswith("codes"):
        return "*i64"
    if name in ("out_rows", "out_columns", "count"):
        return "*i32"
    if name in ("scratch", "out_values") or name.endswith(("reach", "norms", "errors")):
        return "*fp32"
    return "fp32" if name in ("gamma", "twice_absolute", "factor") else "i32"


def _read(cubin: bytes) -> dict[str, Any]:
    """Registers, stack, spills and instructions, by the tool that comes with Triton."""
    import triton  # pyright: ignore[reportMissingImports]

    tool = Path(triton.__path__[0]) / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage, code = (
            subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True).stdout
            for option in ("-res-usage", "-sass")
        )
    registers, stack = re.findall(r"REG:(\d+) STACK:(\d+)", usage)[0]
    return {
        "registers": int(registers),
        "stack": int(stack),
        "local": len(re.findall(r"\b(?:LDL|STL)\b", code)),
        "tensor_core_instructions": len(re.findall(_TENSOR_CORES, code)),
    }


if __name__ == "__main__":
    print(json.dumps([each for architecture in ARCHITECTURES for each in compile_all(architecture)]))
