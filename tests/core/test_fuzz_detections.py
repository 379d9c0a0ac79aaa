"""Whatever a detector sends: regions inside of the image, or BAD_INPUT."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.detections import (
    regions_from_detections,
    regions_from_yolo_detections,
)

SIZE = (12, 16)

numbers = st.floats(-4, 20) | st.floats()
points = st.builds(SimpleNamespace, x=numbers, y=numbers)
centers = st.builds(SimpleNamespace, position=points, theta=st.just(0.0) | numbers)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = st.just("") | st.integers(0, 30).map(str) | st.text("0123456789", max_size=5000) | texts
scores = st.floats(0, 1) | st.floats()


def arrays(detection: st.SearchStrategy[SimpleNamespace]) -> st.SearchStrategy[SimpleNamespace]:
    return st.builds(SimpleNamespace, detections=st.lists(detection, max_size=4))


yolo_arrays = arrays(
    st.builds(
        SimpleNamespace,
        id=ids,
        class_name=texts,
        score=scores,
        bbox=st.builds(SimpleNamespace, center=centers, size=points),
        mask=st.builds(
            SimpleNamespace,
            height=st.just(SIZE[0]) | st.integers(),
            width=st.just(SIZE[1]),
            data=st.lists(points, max_size=6),
        ),
    )
)
vision_arrays = arrays(
    st.builds(
        SimpleNamespace,
        id=ids,
        results=st.lists(
            st.builds(
                SimpleNamespace,
                hypothesis=st.builds(SimpleNamespace, class_id=texts, score=scores),
            ),
            max_size=2,
        ),
        bbox=st.builds(SimpleNamespace, center=centers, size_x=numbers, size_y=numbers),
    )
)


def check(result_or_refusal: Callable[..., Any], read: Callable[..., Any], message: Any) -> None:
    with warnings.catch_warnings():
        # What overflows is refused; NumPy need not say so on the way.
        warnings.simplefilter("ignore", RuntimeWarning)
        regions = result_or_refusal({Status.BAD_INPUT}, read, message, SIZE)
    if regions is not None:
        assert regions.image_size == SIZE
        assert len(regions) <= len(message.detections)
        for region in regions:
            assert region.box.fits(SIZE)
            assert region.mask.any()


@settings(max_examples=750)
@given(message=yolo_arrays)
def test_any_yolo_detections(result_or_refusal: Callable[..., Any], message: Any) -> None:
    check(result_or_refusal, regions_from_yolo_detections, message)


@settings(max_examples=750)
@given(message=vision_arrays)
def test_any_detections(result_or_refusal: Callable[..., Any], message: Any) -> None:
    check(result_or_refusal, regions_from_detections, message)
