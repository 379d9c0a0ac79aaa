"""Annotates many images by many processes and machines, with Ray Data.

Each worker reads its images and models from paths that all machines share, and gives back what is
to be written; the caller writes it. A worker that dies is replaced, and its images done again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.annotation.pipeline import AnnotatedImage, Annotator
from smolrgpt_core.annotation.settings import AnnotationSettings
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import require

LOCAL = "local"
"""In the place of an address: workers on this machine alone, which end with the run."""

IMAGES_AT_ONCE = 2
"""That a worker is given together: what is lost when it dies."""

STORE_BYTES = 256 * 2**20
"""Shared memory of workers on this machine."""


@dataclass(frozen=True)
class OnRay:
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
        ray = require("ray", "ray", "annotating with workers needs ray[data]")
        self._start(ray)
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
                Status.MODEL_ERROR, f"a worker of Ray failed: {error}; what is finished is kept"
            ) from error
        finally:
            ray.shutdown()

    def _start(self, ray: Any) -> None:
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        if self.address != LOCAL:
            ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
            return
        # Nothing is told to anybody outside; the user's own setting goes before this one.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=self.workers,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


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
