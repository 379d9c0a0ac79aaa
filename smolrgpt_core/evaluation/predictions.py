"""Asks an answerer every question of a split, and formats its answers as in a submission.

Images are read once, whatever the number of questions about them. A question that gets no answer is
a refusal: its prediction is empty, which counts as wrong.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from smolrgpt_core.answer import Agreement
from smolrgpt_core.answer.scoring import normalized_answer
from smolrgpt_core.answerer_settings import FusionSettings, ModelSettings
from smolrgpt_core.answerers.base import Answerer, UncertainAnswerError
from smolrgpt_core.answerers.registry import make_answerer
from smolrgpt_core.data.record_frames import AskedRecord, read_image
from smolrgpt_core.data.warehouse_format import (
    ANNOTATION_FILE,
    SIMULATION_FILE,
    CameraRecord,
    SplitFolder,
    WarehouseRecord,
)
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.evaluation.ablations import ABLATIONS
from smolrgpt_core.evaluation.task_scores import AnswerForm, form_of
from smolrgpt_core.files import file_error, read_json, read_rgb
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.language import SpatialQuestion
from smolrgpt_core.language.conventions import WAREHOUSE, Conventions
from smolrgpt_core.synthesis.mixtures import MIXTURES

NO_ANSWER = ""
"""The prediction of a refusal."""


@dataclass(frozen=True)
class AnswererChoice:
    """The choice of an answerer.

    Attributes:
        name: of `ANSWERERS`.
        checkpoint: of a model.
        settings: of a model.
        fusion: of "fused".
        ablation: name in `ABLATIONS`; empty: none.
        object_sizes: of the hall, as `size_priors` reads them.
        looks: as of `make_answerer`.

    Raises:
        ValueError: for an unknown ablation.
    """

    name: str
    checkpoint: str = ""
    settings: ModelSettings = field(default_factory=ModelSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    ablation: str = ""
    object_sizes: str = ""
    looks: bool = False

    def __post_init__(self) -> None:
        if self.ablation and self.ablation not in ABLATIONS:
            raise ValueError(
                f"ablation must be one of {', '.join(ABLATIONS)}, got {self.ablation!r}"
            )

    @property
    def model(self) -> str:
        """Checkpoint and adapter, for a report; empty for an answerer without a model."""
        adapter = f"the adapter {self.settings.adapter}" if self.settings.adapter else ""
        return " with ".join(filter(None, (self.checkpoint, adapter)))

    def make(self) -> Answerer:
        """The answerer; errors as `make_answerer`."""
        return make_answerer(
            self.name, self.checkpoint, self.settings, self.fusion, self.object_sizes, self.looks
        )


@dataclass(frozen=True)
class Camera:
    """Calibration for images without an entry in `cameras.json`.

    Attributes:
        focal: fx, fy, cx, cy in pixels.
        depth_scale: meters per unit.
    """

    focal: tuple[float, float, float, float]
    depth_scale: float = 0.001

    def record(self, size: tuple[int, int]) -> CameraRecord:
        """The record for an image of (height, width)."""
        return CameraRecord(CameraIntrinsics(size[1], size[0], *self.focal), self.depth_scale)


@dataclass(frozen=True)
class Prediction:
    """The answer to one question.

    Attributes:
        id: of the record.
        answer: as `normalized_answer`; empty for a refusal.
        status: OK, or why there is no answer.
        message: to a refusal.
        confidence: of the answerer, also of an uncertain answer; NaN where it has none.
        uncertain_answer: the likeliest one where it is too uncertain, as `answer`; empty otherwise.
        is_doubted: whether the confidence is limited, for inputs that contradict each other.
        unclear_colors: whether it rests on colors that the image does not show clearly.
        agreement: of model and geometry.
        seconds: that the answer took, without reading files.
        form: of the answer; None where the question cannot be read.
    """

    id: str
    answer: str
    status: Status
    message: str = ""
    confidence: float = float("nan")
    uncertain_answer: str = NO_ANSWER
    is_doubted: bool = False
    unclear_colors: bool = False
    agreement: Agreement = Agreement.UNKNOWN
    seconds: float = 0.0
    form: AnswerForm | None = None


def predict(
    folder: SplitFolder,
    records: Sequence[WarehouseRecord],
    choice: AnswererChoice,
    camera: Camera | None = None,
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Prediction]:
    """Ask every question, in the order of the records.

    Args:
        folder: the split.
        records: of the split; all, or some.
        choice: what answers.
        camera: for images without calibration.
        workers: processes; 1 = this one.
        progress: called with the number of questions that are done.

    Raises:
        SpatialError: BAD_INPUT when `cameras.json` cannot be used.
        ValueError: as `make_answerer`.
    """
    cameras = read_cameras(folder)
    images: dict[str, list[WarehouseRecord]] = {}
    for record in records:
        images.setdefault(record.image, []).append(record)
    conventions = read_conventions(folder)
    jobs = [
        ImageJob(folder, of_image, cameras.get(image), camera, conventions)
        for image, of_image in images.items()
    ]
    found: dict[str, Prediction] = {}
    for predictions in _run(jobs, choice, workers):
        found |= {prediction.id: prediction for prediction in predictions}
        progress(len(found))
    return [found[record.id] for record in records]


def read_cameras(folder: SplitFolder) -> dict[str, CameraRecord]:
    """Calibrations by image; empty where the data set has none, like the public one.

    Raises:
        SpatialError: BAD_INPUT when the file cannot be used.
    """
    return folder.read_cameras() if folder.cameras_path.is_file() else {}


def read_conventions(folder: SplitFolder) -> Conventions:
    """What the words of a data set mean: as in the mixture that it was made with.

    Raises:
        SpatialError: BAD_INPUT when the file with its settings is there and cannot be read.
    """
    for path in (folder.root / SIMULATION_FILE, folder.root / ANNOTATION_FILE):
        mixture = read_json(path).get("mixture") if path.is_file() else None
        if mixture in MIXTURES:
            return MIXTURES[mixture].conventions
    return WAREHOUSE


@dataclass(frozen=True)
class ImageJob:
    """All questions about one image.

    Attributes:
        folder: the split.
        records: the questions.
        camera: from `cameras.json`; None where it has none.
        fallback: used then.
        conventions: what the words of the questions mean.
    """

    folder: SplitFolder
    records: Sequence[WarehouseRecord]
    camera: CameraRecord | None
    fallback: Camera | None
    conventions: Conventions = WAREHOUSE

    def read(self) -> tuple[RGBDFrame, list[AskedRecord]]:
        """The frame and its questions.

        Raises:
            SpatialError: BAD_INPUT that names the file.
        """
        camera = self.camera or fallback_camera(self.folder, self.records[0].image, self.fallback)
        frame, asked = read_image(self.folder, self.records, camera)
        return frame, [self._meant(item) for item in asked]

    def _meant(self, asked: AskedRecord) -> AskedRecord:
        question = asked.question
        if question is None or question.program is None:
            return asked
        program = self.conventions.meant(question.program)
        return replace(asked, question=replace(question, program=program))

    def answers(self, answerer: Answerer, choice: AnswererChoice) -> list[Prediction]:
        """A prediction for each record; what is wrong with the image refuses all of them."""
        try:
            frame, asked = self.read()
        except SpatialError as error:
            return [_refusal(record, error) for record in self.records]
        if choice.ablation:
            frame, asked = ABLATIONS[choice.ablation](frame, asked)
        return [_ask(answerer, frame, item) for item in asked]


def fallback_camera(folder: SplitFolder, image: str, fallback: Camera | None) -> CameraRecord:
    """Calibration of an image that `cameras.json` lacks.

    Args:
        folder: of the split.
        image: file name.
        fallback: the calibration for such images; None: there is none.

    Raises:
        SpatialError: BAD_INPUT when there is none, or the image cannot be read.
    """
    if fallback is None:
        raise file_error(
            folder.cameras_path,
            f"no calibration of {image!r}: give it with --intrinsics FX,FY,CX,CY",
        )
    height, width = read_rgb(folder.image_path(image)).shape[:2]
    return fallback.record((height, width))


def _run(
    jobs: Sequence[ImageJob], choice: AnswererChoice, workers: int
) -> Iterator[list[Prediction]]:
    if workers == 1:
        answerer = choice.make()
        yield from (job.answers(answerer, choice) for job in jobs)
        return
    # Forked processes would share the locks and threads of PyTorch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open_answerer, (choice,)) as pool:
        yield from pool.map(_answers_in_worker, jobs)


_worker: dict[str, tuple[Answerer, AnswererChoice]] = {}
"""The answerer of this worker process, built once."""


def _open_answerer(choice: AnswererChoice) -> None:
    _worker["answerer"] = (choice.make(), choice)


def _answers_in_worker(job: ImageJob) -> list[Prediction]:
    return job.answers(*_worker["answerer"])


def _ask(answerer: Answerer, frame: RGBDFrame, asked: AskedRecord) -> Prediction:
    form = None if asked.question is None else form_of(asked.question)
    start = time.perf_counter()
    try:
        answer = answerer.answer(frame, _question_for(asked, answerer))
    except UncertainAnswerError as error:
        uncertain = replace(
            _refusal(asked.record, error, form),
            uncertain_answer=normalized_answer(error.answer, asked.region_ids),
            confidence=error.answer.confidence,
            is_doubted=error.answer.confidence_limit < 1,
        )
        return replace(uncertain, seconds=time.perf_counter() - start)
    except SpatialError as error:
        return replace(_refusal(asked.record, error, form), seconds=time.perf_counter() - start)
    return Prediction(
        id=asked.record.id,
        answer=normalized_answer(answer, asked.region_ids),
        status=answer.status,
        confidence=answer.confidence,
        is_doubted=answer.confidence_limit < 1,
        unclear_colors=answer.unclear_colors,
        agreement=answer.agreement,
        seconds=time.perf_counter() - start,
        form=form,
    )


def _question_for(asked: AskedRecord, answerer: Answerer) -> SpatialQuestion:
    """The question as an answerer can take it, as the query node gives it to that answerer.

    Raises:
        SpatialError: why it cannot be asked.
    """
    if asked.question is not None:
        return asked.question
    if asked.problem is not None and not answerer.free_text:
        raise asked.problem
    return asked.as_text()


def _refusal(
    record: WarehouseRecord, error: SpatialError, form: AnswerForm | None = None
) -> Prediction:
    return Prediction(record.id, NO_ANSWER, error.status, error.message, form=form)
