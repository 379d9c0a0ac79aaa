"""The Triton kernels compile for GPUs, which needs none: the interpreter accepts more than it."""

from __future__ import annotations

from pathlib import Path

import pytest
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from smolrgpt_core.kernels import triton_pooling

NUMBERS = ("height", "width", "rows", "columns", "channels", "cell_stride", "channel_stride")
BLOCKS = {"CELLS": 64, "CHANNELS": 64, "PIXELS": 32}
HOPPER = GPUTarget("cuda", 90, 32)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


# Triton passes numbers that are 1 as constants.
@pytest.mark.parametrize("ones", [(), ("channel_stride",), NUMBERS])
@pytest.mark.parametrize("is_area", [False, True])
@pytest.mark.parametrize(("mask", "feature"), [("u8", "bf16"), ("fp32", "fp64")])
def test_pooling(mask: str, feature: str, is_area: bool, ones: tuple[str, ...]) -> None:
    is_wide = feature == "fp64"
    flags = {"IS_AREA": is_area, "IS_FLOAT": mask == "fp32", "WIDE": is_wide}
    constants = {**flags, **BLOCKS, **dict.fromkeys(ones, 1)}
    signature = {
        "bitmaps": f"*{mask}",
        "features": f"*{feature}",
        "weights": "*fp32",
        "partial_sums": "*fp64" if is_wide else "*fp32",
        **dict.fromkeys(NUMBERS, "i32"),
        **dict.fromkeys(constants, "constexpr"),
    }
    source = ASTSource(triton_pooling._pool_kernel, signature, constants)
    assert triton.compile(source, target=HOPPER).asm["cubin"]


@pytest.mark.parametrize("ones", [(), ("count", "cells", "channels")])
def test_gradient(ones: tuple[str, ...]) -> None:
    constants = {"BLOCK": triton_pooling.GRADIENT_BLOCK, **dict.fromkeys(ones, 1)}
    signature = {
        "weights": "*fp32",
        "shares": "*fp32",
        "gradient": "*bf16",
        **dict.fromkeys(("count", "cells", "channels"), "i32"),
        **dict.fromkeys(constants, "constexpr"),
    }
    source = ASTSource(triton_pooling._gradient_kernel, signature, constants)
    assert triton.compile(source, target=HOPPER).asm["cubin"]
