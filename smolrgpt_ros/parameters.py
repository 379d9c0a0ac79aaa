"""The parameters of the query node: one dataclass is the only source of all that is said of them.

After a change run `python -m smolrgpt_ros.parameter_pages`, which writes them into
`config/warehouse.yaml` and `docs/ros_interfaces.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

from smolrgpt_core.answerer_settings import (
    DTYPES,
    PREFER_CHOICES,
    STYLE_CHOICES,
    FusionSettings,
    ModelSettings,
)
from smolrgpt_core.answerers.registry import ANSWERERS, DEFAULT_ANSWERER
from smolrgpt_core.depth import PLAUSIBLE_DEPTH_M, DepthLimits
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import LabelMap, RegionLabels
from smolrgpt_core.messages.compressed import RAW, TRANSPORTS, Transports
from smolrgpt_core.messages.region_sources import REGION_SOURCES
from smolrgpt_core.messages.sensor_settings import RECTIFY_CHOICES, SensorSettings
from smolrgpt_core.messages.stamps import DEFAULT_SYNC_TOLERANCE_S
from smolrgpt_ros.parameter_declaration import Effect, check_parameters, parameter

ON_DEMAND = "on_demand"
EVERY_FRAME = "every_frame"

UP_BY_DEPTH, UP_BY_TF, UP_BY_IMU, UP_AUTO = "depth", "tf", "imu", "auto"
UP_SOURCES = (UP_BY_DEPTH, UP_BY_TF, UP_BY_IMU, UP_AUTO)


@dataclass(frozen=True)
class QueryParameters:
    """Parameters of `spatial_query_node`; durations in seconds.

    Raises:
        ValueError: naming the parameter that is out of its range.
    """

    autostart: bool = parameter(
        True,
        "Configure and activate at start; false leaves both to `ros2 lifecycle set` or a lifecycle "
        "manager.",
        effect=Effect.AT_START,
    )
    answerer: str = parameter(
        DEFAULT_ANSWERER,
        "What answers the questions.",
        choices=tuple(ANSWERERS),
        effect=Effect.AT_CONFIGURE,
        more="evaluation.md#model-and-geometry-together",
    )
    checkpoint: str = parameter(
        "",
        "Folder or hub id of the checkpoint that `answerer: model` and `fused` load; empty: the "
        "nano model that comes with the package.",
        effect=Effect.AT_CONFIGURE,
    )
    device: str = parameter(
        ModelSettings.device,
        "Where the model computes: auto (CUDA where there is one, else the CPU), cpu, cuda, "
        "cuda:1.",
        effect=Effect.AT_CONFIGURE,
    )
    dtype: str = parameter(
        ModelSettings.dtype,
        "Type of the model's weights and computation.",
        choices=DTYPES,
        effect=Effect.AT_CONFIGURE,
    )
    answer_style: str = parameter(
        ModelSettings.answer_style,
        "What the model is asked to write: a sentence, the short value only, or auto: what the "
        "checkpoint was made for.",
        choices=STYLE_CHOICES,
        effect=Effect.AT_CONFIGURE,
    )
    prefer: str = parameter(
        FusionSettings.prefer,
        "Whose answer `answerer: fused` gives where both have one and they differ; confident: that "
        "which is more likely right by the calibration of the checkpoint.",
        choices=PREFER_CHOICES,
        effect=Effect.AT_CONFIGURE,
    )
    abstain_below: float = parameter(
        FusionSettings.abstain_below,
        "`answerer: fused` refuses an answer of less confidence as CANNOT_TELL; 0 = never. Needs a "
        "checkpoint with a calibration.",
        limits=(0.0, 1.0),
        effect=Effect.AT_CONFIGURE,
        more="evaluation.md#confidence",
    )
    rgb_transport: str = parameter(
        RAW,
        "How rgb comes: `raw` (sensor_msgs/Image), or `compressed` (sensor_msgs/CompressedImage on "
        "`rgb/compressed`, as image_transport names it, after remapping of `rgb`).",
        choices=TRANSPORTS["rgb"],
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#compressed-images",
    )
    depth_transport: str = parameter(
        RAW,
        "How depth comes: `raw`, or `compressedDepth` (sensor_msgs/CompressedImage on "
        "`depth/compressedDepth`).",
        choices=TRANSPORTS["depth"],
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#compressed-images",
    )
    region_source: str = parameter(
        "regions",
        "Where regions come from, and the name of their topic: `regions` "
        "(smolrgpt_ros/RegionArray), `instances` (sensor_msgs/Image, pixel value = region id), "
        "`yolo_detections` (yolo_msgs/DetectionArray) or `detections` "
        "(vision_msgs/Detection2DArray).",
        choices=tuple(REGION_SOURCES),
        effect=Effect.AT_ACTIVATE,
    )
    instance_labels: tuple[str, ...] = parameter(
        ("",),
        'Labels of the ids in an instance image, such as "7:transporter" or "10-59:pallet"; the '
        "first entry that fits counts, an empty entry is ignored.",
    )
    label_map: str = parameter(
        "",
        'What labels mean that are not the words of the questions, such as "0:pallet,1:buffer"; '
        "names such as pallet_01, wooden_pallet or /World/pallet_3 are known without it. The class "
        '"background" stands for what is no object.',
        more="ros_interfaces.md#labels-of-regions",
    )
    input_reliability: str = parameter(
        "best_effort",
        "Reliability that the inputs ask of their publishers; best_effort takes both kinds.",
        choices=("best_effort", "reliable"),
        effect=Effect.AT_ACTIVATE,
    )
    buffer_size: int = parameter(
        30,
        "Messages kept of each input. It must cover the delay of the slowest input and the age of "
        "requested stamps: 30 are one second at 30 Hz.",
        limits=(1, 1000),
        effect=Effect.AT_ACTIVATE,
    )
    sync_tolerance: float = parameter(
        DEFAULT_SYNC_TOLERANCE_S,
        "How far the stamps of rgb, depth and regions may lie apart, and a requested stamp from "
        "the image; seconds.",
        limits=(0.0, 10.0),
    )
    max_age: float = parameter(
        1.0,
        "Oldest frame that is asked about, unless the request says otherwise; seconds by the "
        "node's clock.",
        limits=(0.001, 3600.0),
    )
    timeout: float = parameter(
        5.0,
        "Time for a whole request, unless the request says otherwise; seconds of real time.",
        limits=(0.001, 3600.0),
    )
    max_timeout: float = parameter(
        60.0,
        "Longest time that a request may ask for; one that asks for more, and would hold one of "
        "`max_pending` places for so long, is refused; seconds of real time.",
        limits=(0.001, 3600.0),
    )
    input_wait: float = parameter(
        1.0,
        "How long a question waits for inputs that are missing, stale or out of sync, and for the "
        "transforms to `target_frame`, `gravity_frame` and `floor_frame`, before it is refused; "
        "seconds of real time.",
        limits=(0.0, 60.0),
    )
    target_frame: str = parameter(
        "",
        "Frame that places and directions are told in, by tf at the stamp of the image, such as "
        "`map`; empty: the optical frame of the image. Needs tf2_ros.",
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#centers-in-another-frame",
    )
    up_source: str = parameter(
        UP_BY_DEPTH,
        "What tells what is up in the image: depth (the floor that it shows), tf (the z axis of "
        "`gravity_frame`; needs tf2_ros), imu (sensor_msgs/Imu on `imu`, while it stands still), "
        "or auto: tf, else imu, else depth, whichever knows. tf and imu refuse a question where "
        "they do not know.",
        choices=UP_SOURCES,
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#what-is-up",
    )
    gravity_frame: str = parameter(
        "base_link",
        "Frame of tf whose z axis is up, such as `base_link` on a level floor, `odom` or `map`.",
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#what-is-up",
    )
    floor_frame: str = parameter(
        "",
        "Frame of tf whose x-y plane is the floor, such as `base_footprint`: tf then tells how "
        "high the camera is above it, beside what `up_source` tells, so the floor is known where "
        "it is not seen, and a table top is not taken for it; empty: depth tells. Needs tf2_ros.",
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#what-is-up",
    )
    depth_scale: float = parameter(
        SensorSettings.depth_scale,
        "Metres per unit of the depth image; 0 = by its encoding (16UC1 and mono16: 0.001, 32FC1: "
        "1).",
        limits=(0.0, 1000.0),
    )
    min_depth: float = parameter(
        DepthLimits.min_depth,
        "Nearer depth is no reading; metres.",
        limits=(0.0, PLAUSIBLE_DEPTH_M[1]),
        more="ros_interfaces.md#what-a-depth-reading-is",
    )
    max_depth: float = parameter(
        DepthLimits.max_depth,
        "Farther depth is no reading; metres. Set it to the range of your camera.",
        limits=(0.0, PLAUSIBLE_DEPTH_M[1]),
    )
    rectify: str = parameter(
        SensorSettings.rectify,
        "Lens distortion of `camera_info`: auto takes it out of colour, depth and regions, unless "
        "the name of the topic of `rgb` has a part `rect`; never: the images are rectified.",
        choices=RECTIFY_CHOICES,
        more="ros_interfaces.md#calibration-and-lens-distortion",
    )
    max_pending: int = parameter(
        16,
        "Questions that may wait or be answered at the same time; one more is refused as BUSY.",
        limits=(1, 256),
        effect=Effect.AT_START,
    )
    max_batch: int = parameter(
        8,
        "Questions about the same frame that are answered together; 1 = one by one.",
        limits=(1, 256),
    )
    encode: str = parameter(
        ON_DEMAND,
        "When the answerer looks at a frame: when it is asked about, or, while nobody asks, at "
        "every frame that it can keep up with. The answer comes sooner then, from the frame that "
        "was looked at last, at the cost of a busy processor.",
        choices=(ON_DEMAND, EVERY_FRAME),
    )
    record: bool = parameter(
        False,
        "Record each question with its answer and its frame, for `smolrgpt replay` and `smolrgpt "
        "bag2data`; needs rosbags.",
        effect=Effect.AT_ACTIVATE,
        more="improving.md",
    )
    record_folder: str = parameter(
        "~/.ros/smolrgpt",
        "Where recordings go; each activation makes its own, named by the time (UTC).",
        effect=Effect.AT_ACTIVATE,
    )
    record_limit: float = parameter(
        10.0,
        "Size at which a recording ends, in GB; 0 = none.",
        limits=(0.0, 1_000_000.0),
        effect=Effect.AT_ACTIVATE,
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        self.sensor_settings()
        for name, parse in (
            ("instance_labels", self._by_number),
            ("label_map", self._label_map),
        ):
            try:
                parse()
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        self.model_settings()  # checks the device
        if not self.record_folder.strip():
            raise ValueError(
                "record_folder must not be empty: give a folder, or set record to false"
            )
        for name in ("target_frame", "gravity_frame", "floor_frame"):
            frame = getattr(self, name)
            if frame.startswith("/") or frame != frame.strip():
                raise ValueError(
                    f"{name} must be the name of a frame of tf, without a slash before it, got "
                    f"{frame!r}"
                )
        if not self.gravity_frame:
            raise ValueError("gravity_frame must not be empty: give a frame, such as base_link")

    @property
    def needs_tf2(self) -> str:
        """The parameter whose value needs tf2; empty if none does."""
        if self.target_frame:
            return "target_frame"
        if self.floor_frame:
            return "floor_frame"
        return "up_source" if self.up_source == UP_BY_TF else ""

    @property
    def needs_mounting(self) -> bool:
        """Whether something else than depth tells how the camera is mounted."""
        return self.up_source != UP_BY_DEPTH or bool(self.floor_frame)

    def model_settings(self) -> ModelSettings:
        """How a model computes and answers."""
        return ModelSettings(self.device, self.dtype, self.answer_style)

    def sensor_settings(self) -> SensorSettings:
        """How the images of the camera are read."""
        limits = DepthLimits(self.min_depth, self.max_depth)
        return SensorSettings(self.depth_scale, limits, self.rectify)

    def fusion_settings(self) -> FusionSettings:
        """How model and geometry are put together."""
        return FusionSettings(self.prefer, self.abstain_below)

    @property
    def transports(self) -> Transports:
        """How images come, by input."""
        return {"rgb": self.rgb_transport, "depth": self.depth_transport}

    def region_labels(self) -> RegionLabels:
        """How regions get their labels."""
        return RegionLabels(self._by_number(), self._label_map())

    def _by_number(self) -> InstanceLabels:
        return InstanceLabels.parse(self.instance_labels)

    def _label_map(self) -> LabelMap:
        return LabelMap.parse(self.label_map)
