#!/usr/bin/env python3
"""Pooling features under masks of full HD images: smolrgpt_core.kernels against full-size masks.

The baseline is what the released model does: decode every mask, make it float, resize it
bilinearly, take the weighted mean. `area` is compared with OpenCV's INTER_AREA, the same resizing
on decoded masks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from performance_page import Table, describe_machine, median_ms, publish
from pycocotools import mask as coco_mask

from smolrgpt_core.kernels.form_weights import Mode
from smolrgpt_core.kernels.masks import LabelImage, MasksOfImage
from smolrgpt_core.kernels.pooling import pool_masks, weighted_mean
from smolrgpt_core.kernels.weights import bilinear_weights
from smolrgpt_core.regions import RegionSet, decode_rle, encode_rle

GRID = (64, 64)
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Scene:
    """The same masks in every form, and features to pool."""

    bitmaps: NDArray[np.bool_]
    features: torch.Tensor

    @property
    def rles(self) -> list[dict]:
        """As COCO run lengths."""
        return [encode_rle(mask) for mask in self.bitmaps]

    @property
    def label_image(self) -> NDArray[np.int32]:
        """As an instance image; later masks cover earlier ones."""
        image = np.zeros(self.bitmaps.shape[1:], dtype=np.int32)
        for number, mask in enumerate(self.bitmaps):
            image[mask] = number + 1
        return image


def make_scene(count: int, size: tuple[int, int], channels: int, seed: int) -> Scene:
    """Wavy ellipses of 0.5 to 8 % of the image each."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    masks = np.zeros((count, *size), dtype=bool)
    for mask in masks:
        y, x = generator.uniform(0.2, 0.8, 2) * size
        area, stretch = generator.uniform(0.005, 0.08) * size[0] * size[1], generator.uniform(1, 2)
        height = np.sqrt(area / np.pi / stretch)
        edge = 1 + 0.2 * np.sin(columns / generator.uniform(5, 30))
        mask |= ((rows - y) / height) ** 2 + ((columns - x) / height / stretch) ** 2 < edge
    features = torch.randn(1, GRID[0] * GRID[1], channels, generator=torch.manual_seed(seed))
    return Scene(masks, features)


def resize_and_pool(features: torch.Tensor, masks: NDArray, mode: Mode) -> torch.Tensor:
    """The baseline behind decoding: full-size float masks (M, h, w)."""
    if mode == "bilinear":
        weights = bilinear_weights(torch.from_numpy(masks).to(features.device), GRID)
    else:
        floats = masks.astype(np.float32)
        resized = [cv2.resize(mask, GRID[::-1], interpolation=cv2.INTER_AREA) for mask in floats]
        weights = torch.from_numpy(np.stack(resized)).to(features.device)
    return weighted_mean(features[0], weights.flatten(1))


def compare(
    cases: dict[str, Callable[[], torch.Tensor]], repeats: int, device: torch.device
) -> dict[str, float]:
    """Median times, after a check that all cases compute the same."""
    results = [case().cpu() for case in cases.values()]
    for name, result in zip(cases, results, strict=True):
        difference = float((result - results[0]).abs().max())
        if not difference < TOLERANCE:
            raise SystemExit(f"{name} differs from the baseline by {difference}")
    return median_ms(cases, repeats, device)


def run_lengths_table(arguments: argparse.Namespace, device: torch.device) -> Table:
    """Run lengths, for several numbers of masks."""
    rows = []
    for mode in ("bilinear", "area"):
        for count in arguments.masks:
            scene = make_scene(count, arguments.size, arguments.channels, arguments.seed)
            rows.append(run_lengths_row(scene, mode, arguments.repeats, device))
    columns = ("resizing", "masks", "baseline, ms", "with our decoder, ms", "kernels, ms")
    return Table(
        f"From run lengths, {describe_size(arguments.size)}, on {device.type}",
        (*columns, "ratio to baseline", "ratio to our decoder"),
        tuple(rows),
        "Baseline: pycocotools decodes, then full-size float masks are resized and pooled. Second "
        "baseline: the same with the decoder of smolrgpt_core.regions.",
    )


def run_lengths_row(
    scene: Scene, mode: Mode, repeats: int, device: torch.device
) -> tuple[str, ...]:
    """One number of masks."""
    features, rles = scene.features.to(device), scene.rles

    def released() -> torch.Tensor:
        masks = np.stack([coco_mask.decode(rle) for rle in rles])
        return resize_and_pool(features, masks, mode)

    def our_decoder() -> torch.Tensor:
        masks = np.stack([decode_rle(rle) for rle in rles])
        return resize_and_pool(features, masks, mode)

    def kernels() -> torch.Tensor:
        return pool_masks(features, [rles], mode).features

    cases = {"released": released, "our decoder": our_decoder, "kernels": kernels}
    times = compare(cases, repeats, device)
    ratios = [times[name] / times["kernels"] for name in ("released", "our decoder")]
    milliseconds = (f"{time:.2f}" for time in times.values())
    return (mode, str(len(rles)), *milliseconds, *(f"{ratio:.1f}x" for ratio in ratios))


def forms_table(arguments: argparse.Namespace, device: torch.device) -> Table:
    """Other forms of the same masks."""
    count = max(arguments.masks)
    scene = make_scene(count, arguments.size, arguments.channels, arguments.seed)
    rows = []
    for mode in ("bilinear", "area"):
        for name, (baseline, given) in forms(scene, device).items():
            features = scene.features.to(device)
            cases = {
                "baseline": lambda: resize_and_pool(features, baseline(), mode),  # noqa: B023
                "kernels": lambda: pool_masks(features, [given], mode).features,  # noqa: B023
            }
            times = compare(cases, arguments.repeats, device)
            ratio = f"{times['baseline'] / times['kernels']:.1f}x"
            rows.append((mode, name, *(f"{time:.2f}" for time in times.values()), ratio))
    return Table(
        f"From other forms, {count} masks, {describe_size(arguments.size)}, on {device.type}",
        ("resizing", "form", "baseline, ms", "kernels, ms", "ratio"),
        tuple(rows),
        "Baseline: every mask is made a full-size bitmap, then resized and pooled as above.",
    )


def forms(
    scene: Scene, device: torch.device
) -> dict[str, tuple[Callable[[], NDArray[np.bool_]], MasksOfImage]]:
    """For each form how the baseline makes bitmaps of it, and what the kernels get."""
    image = scene.label_image
    ids = [int(id) for id in np.unique(image) if id]
    regions = RegionSet.from_label_image(image, {})
    bitmaps = torch.from_numpy(scene.bitmaps)
    return {
        "bool bitmaps": (lambda: scene.bitmaps, bitmaps.to(device)),
        "instance image": (
            lambda: image == np.array(ids)[:, None, None],
            LabelImage(image, ids),
        ),
        "regions cut to their box": (
            lambda: np.stack([regions.full_mask(region.id) for region in regions]),
            regions,
        ),
    }


def describe_size(size: tuple[int, int]) -> str:
    """Width x height, as cameras are described."""
    return f"{size[1]}x{size[0]}"


def main() -> None:
    """Measure on the CPU, and on a GPU where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(1080, 1920), help="height width")
    parser.add_argument("--masks", type=int, nargs="+", default=(1, 4, 16), help="masks per image")
    parser.add_argument("--channels", type=int, default=960)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    arguments = parser.parse_args()
    arguments.size = tuple(arguments.size)
    devices = [torch.device("cpu")]
    if torch.cuda.is_available():
        devices.append(torch.device("cuda"))
    with torch.inference_mode():
        tables = [
            table(arguments, device)
            for device in devices
            for table in (run_lengths_table, forms_table)
        ]
    publish("Mask pooling", describe_machine(devices), tables, arguments.write_docs)


if __name__ == "__main__":
    main()
