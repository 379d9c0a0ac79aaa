"""Makes a simulated data set: every scene on its own, by several processes, then the files.

    DIR/simulation.json             the settings, which stay with the data
    DIR/SPLIT/images, depths        written scene by scene
    DIR/.parts/SCENE.json           what the questions are chosen from; there is a file = scene done
    DIR/SPLIT.json, cameras.json    written last, when .parts goes

A run may be killed at any moment; the same call goes on where it stopped and ends with the same
bytes. Nothing but whole files carries a final name.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from smolrgpt_core.data.records import question_record
from smolrgpt_core.data.resumable import ResumableFolder, ResumableRun
from smolrgpt_core.data.shards import write_shards
from smolrgpt_core.data.warehouse_format import (
    SIMULATION_FILE,
    SPLITS,
    CameraRecord,
    SplitFolder,
    WarehouseRecord,
)
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import read_json, write_file
from smolrgpt_core.simulated_data.scenes import (
    FrameDraft,
    SimulationSettings,
    simulate_scene,
)
from smolrgpt_core.synthesis.balance import Balancer

SHARDS_WRITTEN = "shards_written"

GENERATOR = 3
"""Raised whenever the same settings come to give other bytes."""


@dataclass
class SimulationSummary:
    """What a data set holds: numbers of images and of questions by split and category."""

    images: Counter[str] = field(default_factory=Counter)
    questions: dict[str, Counter[str]] = field(default_factory=dict)


class SimulationRun(ResumableRun):
    """One data set in the making; use it in `with run.locked():`.

    Args:
        settings: what to make.
        root: folder of the data set; made if needed.
    """

    def __init__(self, settings: SimulationSettings, root: Path) -> None:
        self.settings = settings
        self.root = root
        described = {"generator": GENERATOR, **settings.to_json()}
        super().__init__(ResumableFolder(root, SIMULATION_FILE, described, "smolrgpt simulate"))
        self._parts = self._data.parts
        self._splits = settings.splits()

    def missing_scenes(self) -> list[int]:
        """The scenes that are not made yet."""
        present = {path.stem for path in self._parts.glob("*.json")}
        return [i for i in range(self.settings.scenes) if self._draft_path(i).stem not in present]

    def make_scenes(self, workers: int) -> Iterator[int]:
        """Make the missing scenes; yields the index of each when it is written.

        Raises:
            OSError: a file cannot be written.
            SpatialError: MODEL_ERROR when a worker died.
        """
        jobs = {
            index: (self.settings, index, self._folder(index), self._draft_path(index))
            for index in self.missing_scenes()
        }
        if workers == 1 or len(jobs) < 2:
            for index, job in jobs.items():
                simulate_scene(*job)
                yield index
            return
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker)
        try:
            futures = {pool.submit(simulate_scene, *job): index for index, job in jobs.items()}
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenProcessPool as error:
            raise SpatialError(
                Status.MODEL_ERROR,
                "a worker process died, perhaps for lack of memory; run the same command again, "
                "with fewer workers: finished scenes are kept",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def finish(self) -> SimulationSummary:
        """Choose the questions and write the files of the data set.

        Raises:
            OSError: a file cannot be written.
        """
        summary = SimulationSummary()
        for split in dict.fromkeys(name for name in SPLITS if name in self._splits):
            images = list(self._chosen(split))
            self._write_split(SplitFolder(self.root, split), images)
            counts = (record.category for _, _, records in images for record in records)
            summary.images[split] = len(images)
            summary.questions[split] = Counter(counts)
        if not self.settings.folders:
            self._remove_folders()
        self._data.close()
        return summary

    def _chosen(
        self, split: str
    ) -> Iterator[tuple[str, CameraRecord, tuple[WarehouseRecord, ...]]]:
        """The images of a split that have questions, in the order of the scenes."""
        balancer = Balancer()
        for index, name in enumerate(self._splits):
            if name != split:
                continue
            for entry in read_json(self._draft_path(index)):
                draft = FrameDraft.from_json(entry)
                chosen: Sequence[int] = range(len(draft.candidates))
                if self.settings.mixture is None:
                    chosen = balancer.choose(draft.candidates, self.settings.questions)
                if chosen:
                    yield draft.image, draft.camera, tuple(_records(draft, chosen))

    def _write_split(
        self,
        folder: SplitFolder,
        images: list[tuple[str, CameraRecord, tuple[WarehouseRecord, ...]]],
    ) -> None:
        marker = self._parts / SHARDS_WRITTEN
        if self.settings.shards and not marker.exists():
            write_shards(folder, images, self.settings.shard_images)
        if not self.settings.folders:
            return
        used = {image for image, _, _ in images}
        for path in (folder.root / folder.split / "images").iterdir():
            if path.name not in used:
                path.unlink()
                folder.depth_path(path.name).unlink(missing_ok=True)
        folder.write_cameras({image: camera for image, camera, _ in images})
        folder.write_records(record for _, _, records in images for record in records)

    def _remove_folders(self) -> None:
        """Leave the shards alone; from the marker on, the images are not needed again."""
        write_file(self._parts / SHARDS_WRITTEN, b"")
        for split in SPLITS:
            shutil.rmtree(self.root / split, ignore_errors=True)

    def _folder(self, index: int) -> SplitFolder:
        return SplitFolder(self.root, self._splits[index])

    def _draft_path(self, index: int) -> Path:
        return self._parts / f"{index:06}.json"


def _records(draft: FrameDraft, chosen: Sequence[int]) -> Iterator[WarehouseRecord]:
    for number, choice in enumerate(chosen):
        item = draft.candidates[choice]
        id = f"{Path(draft.image).stem}_{number:02}"
        yield question_record(
            id, draft.image, item, draft.rle, item.task, item.reasoning, item.truth
        )


def _start_worker() -> None:
    """Prepare a worker process: it must not outlive this one, nor take its Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """End this process when its parent has: a killed parent cannot end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
