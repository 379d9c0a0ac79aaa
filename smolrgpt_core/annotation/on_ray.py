"""Annotates images with many processes and machines, using Ray Data.

Each worker reads its images and models from shared paths and returns the results; the caller writes
them. A worker that dies is replaced, and its images are processed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.annotation.pipeline import AnnotatedImage, Annotator
from smolrgpt_core.annotation.settings import AnnotationSettings
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import require
from smolrgpt_core.ray_workers import start_ray

IMAGES_AT_ONCE = 2
"""That a worker is given together: what is lost when it dies."""


@dataclass(frozen=True)
class AnnotationOnRay:
    """Annotates images with Ray.

    Attributes:
        address: of a Ray cluster, or `LOCAL`.
        workers: processes.
    """

    address: str
    workers: int

    def __call__(
        self, settings: AnnotationSettings, images: Sequence[Path]
    ) -> Iterator[AnnotatedImage]:
        """Annotate images, in any order.

        Raises:
            ImportError: Ray is missing; the message says how to get it.
            ConnectionError: there is no cluster at this address.
            SpatialError: MODEL_ERROR when workers fail again and again.
        """
        require("ray.data", "ray", "annotating with workers needs ray[data]")
        ray = start_ray(self.address, self.workers, "annotating with workers")
        try:
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            blocks = max(self.workers, len(images) // IMAGES_AT_ONCE)
            rows = ray.data.from_items(
                [{"path": str(path)} for path in images],
                override_num_blocks=min(blocks, len(images)),
            ).map_batches(
                _Worker,
                fn_constructor_args=(settings,),
                batch_size=IMAGES_AT_ONCE,
                batch_format="numpy",
                compute=ray.data.ActorPoolStrategy(size=self.workers),
                num_cpus=1,
            )
            for row in rows.iter_rows():
                yield AnnotatedImage(**row)
        except ray.exceptions.RayError as error:
            raise SpatialError(
                Status.MODEL_ERROR, f"a worker of Ray failed: {error}; finished images are kept"
            ) from error
        finally:
            ray.shutdown()


class _Worker:
    """Models are loaded once in each process."""

    def __init__(self, settings: AnnotationSettings) -> None:
        self._annotator = Annotator(settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        done = [self._annotator.annotate(Path(str(path))) for path in batch["path"]]
        return {
            name: [getattr(item, name) for item in done]
            for name in ("image", "part", "color", "depth")
        }
