"""What a study compares: a training file, axes of changes to it, and data sets to evaluate on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smolrgpt_core.data.warehouse_format import SPLITS, SplitFolder
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error
from smolrgpt_core.settings_file import from_entries, read_yaml
from smolrgpt_core.study.jobs import Job
from smolrgpt_core.training.config_file import read_config

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class EvaluationSet:
    """A data set that every model of a study is evaluated on.

    Attributes:
        data: folder of a data set in the warehouse layout.
        split: of the data set.
        limit: only the first N questions; 0: all.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    data: str
    split: str = "test"
    limit: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise bad_input(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        if self.limit < 0:
            raise bad_input(f"limit must be 0 or more, got {self.limit}")


@dataclass(frozen=True)
class StudyConfig:
    """A study.

    Attributes:
        title: of its section in the documentation.
        train: training configuration that all runs start from.
        output: folder of the runs and of the table.
        axes: by name of the axis, its values by name; each is a list of KEY=VALUE as `smolrgpt
            train` takes them. There is a run for each combination.
        evaluations: data sets by name; the first is the target domain.
        repeats: axis whose values are repetitions, over which mean and spread are computed; empty:
            none.
        reference: value by axis, such as {method: full}; the others of the axis are compared with
            it, all else equal. At most one axis.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    title: str
    train: str
    output: str
    axes: Mapping[str, Mapping[str, tuple[str, ...]]]
    evaluations: Mapping[str, EvaluationSet]
    repeats: str = ""
    reference: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("title", "train", "output", "axes", "evaluations"):
            if not getattr(self, name):
                raise bad_input(f"{name} must not be empty")
        if self.repeats and self.repeats not in self.axes:
            raise bad_input(
                f"repeats must be one of the axes {', '.join(self.axes)}, got {self.repeats!r}"
            )
        for axis, values in self.axes.items():
            if not values:
                raise bad_input(f"axes.{axis} must have at least one value")
            for name in (axis, *values):
                _check_name(name)
        self._check_reference()
        for name in self.evaluations:
            _check_name(name)

    def _check_reference(self) -> None:
        axes = [axis for axis in self.axes if axis != self.repeats]
        known = all(
            axis in axes and name in self.axes[axis] for axis, name in self.reference.items()
        )
        if len(self.reference) > 1 or not known:
            raise bad_input(
                f"reference must be one value of one of the axes {', '.join(axes)}, such as "
                f"{{{axes[0]}: {next(iter(self.axes[axes[0]]))}}}, got {dict(self.reference)}"
            )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise bad_input(
            f"names must consist of letters, digits and any of _ . + -, as they become names of "
            f"folders; got {name!r}"
        )


def read_study(path: Path) -> StudyConfig:
    """Read a YAML file.

    Raises:
        ImportError: PyYAML is missing; the message says how to install it.
        SpatialError: BAD_INPUT; names the file and the key.
    """
    entries = read_yaml(path, "a study")
    try:
        return from_entries(StudyConfig, entries)
    except SpatialError as error:
        raise file_error(path, error.message) from error


def chosen(study: StudyConfig, only: Sequence[str]) -> StudyConfig:
    """The study with only some values of its axes; without a reference that is not among them.

    Args:
        study: the complete one.
        only: such as "images=50,200".

    Raises:
        SpatialError: BAD_INPUT for an unknown axis or value.
    """
    axes = dict(study.axes)
    for text in only:
        axis, sign, names = text.partition("=")
        wanted = [name.strip() for name in names.split(",")]
        if not sign or axis not in study.axes:
            raise bad_input(
                f"expected AXIS=NAME,... with one of the axes {', '.join(study.axes)}, got {text!r}"
            )
        unknown = [name for name in wanted if name not in study.axes[axis]]
        if unknown:
            raise bad_input(
                f"{axis} has no value {', '.join(unknown)}; it has {', '.join(study.axes[axis])}"
            )
        axes[axis] = {name: study.axes[axis][name] for name in wanted}
    reference = {axis: name for axis, name in study.reference.items() if name in axes[axis]}
    return replace(study, axes=axes, reference=reference)


def require_evaluation_data(study: StudyConfig) -> None:
    """Refuse before anything is trained what could not be evaluated afterwards.

    Raises:
        SpatialError: BAD_INPUT; the questions of a data set are not there, the message names it.
    """
    for name, item in study.evaluations.items():
        path = SplitFolder(Path(item.data), item.split).records_path
        if not path.is_file():
            raise bad_input(
                f"evaluations.{name}: {path} does not exist; the comment at the top of a study in "
                "config/study names the commands that make its data"
            )


def jobs_of(study: StudyConfig, changes: Sequence[str] = ()) -> list[Job]:
    """One job per checkpoint that runs start from, then one job per run.

    Args:
        study: complete, or a part.
        changes: KEY=VALUE for all runs, which override those of the axes.

    Raises:
        ImportError, SpatialError: as `read_config`; the message names the run.
    """
    runs = list(_runs(study, changes))
    bases = dict.fromkeys(run.train.start.checkpoint for run in runs if run.train is not None)
    return [*(_base(study, checkpoint) for checkpoint in bases if checkpoint), *runs]


def in_order_of_work(study: StudyConfig, jobs: Sequence[Job]) -> list[Job]:
    """Jobs so that those finished at any time are a smaller study, as complete as can be.

    The first repetition of everything comes first, and within it the first value of every axis but
    the first: all methods with 50 images before any with 200.

    Args:
        study: of the jobs.
        jobs: some of `jobs_of`.
    """
    slowest_first = sorted(study.axes, key=lambda axis: axis == study.repeats)[::-1]
    places = {axis: list(values) for axis, values in study.axes.items()}

    def place(job: Job) -> list[int]:
        return [places[axis].index(job.values[axis]) for axis in slowest_first if job.values]

    return sorted(jobs, key=place)


def _runs(study: StudyConfig, common: Sequence[str]) -> Iterator[Job]:
    for combination in itertools.product(*(values.items() for values in study.axes.values())):
        values = dict(zip(study.axes, (name for name, _ in combination), strict=True))
        folder = Path(study.output, "runs", ",".join(f"{k}={v}" for k, v in values.items()))
        changes = [change for _, changes in combination for change in changes]
        try:
            train = read_config(Path(study.train), [*changes, *common, f"output={folder}"])
        except SpatialError as error:
            raise bad_input(f"the run {folder.name}: {error}") from error
        yield Job(values, folder, study.evaluations, train)


def _base(study: StudyConfig, checkpoint: str) -> Job:
    folder = Path(study.output, "bases", re.sub(r"[^\w.-]+", "_", checkpoint))
    return Job({}, folder, study.evaluations, None, checkpoint)
