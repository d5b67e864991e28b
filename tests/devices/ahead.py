"""The kernel of strips compiled ahead of time, without a GPU: `python -m tests.devices.ahead` prints its resources.

JSON: a list of objects with the architecture, the format, registers and stack (bytes) of a thread, shared memory
(bytes) of a program, loads and stores of spilled registers, and instructions for tensor cores.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from workers.neighbors.appending import KernelShape, kernel_shape

ARCHITECTURES = (80, 86, 90, 100)
FORMATS = ("fp16", "bf16")
_COLUMNS = 1088  # of an encoding of 1,024 dimensions
_TENSOR_CORES = r"\b(HGMMA|HMMA|UTCHMMA)\b"


def compile_for(architecture: int, dtype: str) -> dict[str, Any]:
    """Compile the kernel as a search would, and read what it needs."""
    from triton import compile as compile_kernel  # pyright: ignore[reportMissingImports]
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]
    from triton.compiler import ASTSource  # pyright: ignore[reportMissingImports]

    from workers.neighbors.strip_kernel import append_kernel

    kernel: Any = append_kernel
    shape = kernel_shape(divmod(architecture, 10))
    constants = _constants(shape)
    types = {name: _type_of(name, dtype, constants) for name in kernel.arg_names}
    aligned = {(at,): [["tt.divisibility", 16]] for at, name in enumerate(kernel.arg_names) if types[name][0] == "*"}
    source = ASTSource(fn=kernel, signature=types, constexprs=constants, attrs=aligned)
    options = {"num_warps": shape.warps, "num_stages": shape.stages}
    made = compile_kernel(source, target=GPUTarget("cuda", architecture, 32), options=options)
    return {"architecture": architecture, "format": dtype, "shared": made.metadata.shared} | _read(made.asm["cubin"])


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
    print(json.dumps([compile_for(architecture, dtype) for architecture in ARCHITECTURES for dtype in FORMATS]))
