"""Parameters of the query node: this dataclass is the only source of defaults and descriptions.

After a change run `python -m smolrgpt_ros.parameters.pages`, which writes them into
`config/warehouse.yaml` and `docs/ros_interfaces.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

from smolrgpt_core.answerer_settings import (
    DTYPES,
    PREFER_CHOICES,
    RUNTIMES,
    STYLE_CHOICES,
    FusionSettings,
    ModelSettings,
)
from smolrgpt_core.answerers.registry import ANSWERERS, DEFAULT_ANSWERER, WITH_CHECKPOINT
from smolrgpt_core.depth import PLAUSIBLE_DEPTH_M, DepthLimits
from smolrgpt_core.geometry.object_sizes import size_priors
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import LabelMap, RegionLabels
from smolrgpt_core.messages.compressed import RAW, TRANSPORTS, Transports
from smolrgpt_core.messages.region_sources import REGION_SOURCES
from smolrgpt_core.messages.sensor_settings import RECTIFY_CHOICES, SensorSettings
from smolrgpt_core.messages.stamps import DEFAULT_SYNC_TOLERANCE_S
from smolrgpt_ros.parameters.declaration import Effect, check_parameters, parameter

ON_DEMAND = "on_demand"
EVERY_FRAME = "every_frame"

UP_BY_DEPTH, UP_BY_TF, UP_BY_IMU, UP_AUTO = "depth", "tf", "imu", "auto"
UP_SOURCES = (UP_BY_DEPTH, UP_BY_TF, UP_BY_IMU, UP_AUTO)


@dataclass(frozen=True)
class QueryParameters:
    """Parameters of `spatial_query_node`; durations in seconds.

    Raises:
        ValueError: a parameter is out of range or inconsistent; the message names it.
    """

    autostart: bool = parameter(
        True,
        "Configure and activate at start; false leaves both to `ros2 lifecycle set` or a lifecycle"
        " manager.",
        effect=Effect.AT_START,
    )
    answerer: str = parameter(
        DEFAULT_ANSWERER,
        "Which answerer answers the questions.",
        choices=tuple(ANSWERERS),
        effect=Effect.AT_CONFIGURE,
        more="evaluation.md#model-and-geometry-together",
    )
    checkpoint: str = parameter(
        "",
        "Folder or hub id of the checkpoint for `answerer: model` and `fused`; empty: the nano "
        "model that comes with the package.",
        effect=Effect.AT_CONFIGURE,
    )
    adapter: str = parameter(
        ModelSettings.adapter,
        "Folder of an adapter for the checkpoint, written by `smolrgpt train` with a `peft` "
        "section; confidences are unknown with one. Empty: none.",
        effect=Effect.AT_CONFIGURE,
        more="training.md#adapters",
    )
    device: str = parameter(
        ModelSettings.device,
        "Device for the model: auto (CUDA if available, otherwise the CPU), cpu, cuda, cuda:1.",
        effect=Effect.AT_CONFIGURE,
    )
    dtype: str = parameter(
        ModelSettings.dtype,
        "Data type of the model's weights and computation; int8: of its language model, on a CPU.",
        choices=DTYPES,
        effect=Effect.AT_CONFIGURE,
    )
    threads: int = parameter(
        ModelSettings.threads,
        "Threads that compute the model on a CPU; 0 = one for a small model such as nano, "
        "otherwise one per core. A thread whose core is busy delays the others.",
        limits=(0, 1024),
        effect=Effect.AT_CONFIGURE,
        more="inference.md#threads",
    )
    runtime: str = parameter(
        ModelSettings.runtime,
        "What computes the model: torch, onnx (ONNX Runtime, for a folder that smolrgpt "
        "export-onnx wrote), or auto: the one that the checkpoint is for.",
        choices=RUNTIMES,
        effect=Effect.AT_CONFIGURE,
        more="inference.md#without-pytorch",
    )
    answer_style: str = parameter(
        ModelSettings.answer_style,
        "What the model is asked to generate: a sentence, the short value only, or auto: what the "
        "checkpoint was trained for.",
        choices=STYLE_CHOICES,
        effect=Effect.AT_CONFIGURE,
    )
    prefer: str = parameter(
        FusionSettings.prefer,
        "Which answer `answerer: fused` returns when model and geometry disagree; confident: the "
        "one that is more likely to be correct according to the checkpoint's calibration.",
        choices=PREFER_CHOICES,
        effect=Effect.AT_CONFIGURE,
    )
    abstain_below: float = parameter(
        FusionSettings.abstain_below,
        "`answerer: fused` refuses answers of lower confidence as CANNOT_TELL; 0 = never. Needs a "
        "checkpoint with a calibration.",
        limits=(0.0, 1.0),
        effect=Effect.AT_CONFIGURE,
        more="evaluation.md#confidence",
    )
    object_sizes: str = parameter(
        "",
        "Footprints of the objects of the hall in meters, where they differ from EUR pallets and "
        'the like, such as "pallet:1.219x1.016" or "pallet:1.2x0.8,pallet:0.8x0.6,carton:0.6x0.4".',
        effect=Effect.AT_CONFIGURE,
        more="accuracy.md#sizes-of-your-own-hall",
    )
    rgb_transport: str = parameter(
        RAW,
        "Transport of rgb: `raw` (sensor_msgs/Image), or `compressed` (sensor_msgs/CompressedImage"
        " on `rgb/compressed`, as image_transport names it, after remapping of `rgb`).",
        choices=TRANSPORTS["rgb"],
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#compressed-images",
    )
    depth_transport: str = parameter(
        RAW,
        "Transport of depth: `raw`, or `compressedDepth` (sensor_msgs/CompressedImage on "
        "`depth/compressedDepth`).",
        choices=TRANSPORTS["depth"],
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#compressed-images",
    )
    region_source: str = parameter(
        "regions",
        "Source of the regions, and the name of its topic: `regions` (smolrgpt_ros/RegionArray), "
        "`instances` (sensor_msgs/Image, pixel value = region id), `yolo_detections` "
        "(yolo_msgs/DetectionArray) or `detections` (vision_msgs/Detection2DArray).",
        choices=tuple(REGION_SOURCES),
        effect=Effect.AT_ACTIVATE,
    )
    instance_labels: tuple[str, ...] = parameter(
        ("",),
        'Labels of the ids in an instance image, such as "7:transporter" or "10-59:pallet"; the '
        "first matching entry is used, empty entries are ignored.",
    )
    label_map: str = parameter(
        "",
        'Classes for labels that questions do not use, such as "0:pallet,1:buffer"; names such'
        " as pallet_01, wooden_pallet or /World/pallet_3 are known without it. The class "
        '"background" marks labels that are not objects.',
        more="ros_interfaces.md#labels-of-regions",
    )
    input_reliability: str = parameter(
        "best_effort",
        "Reliability that the input subscriptions request; best_effort is compatible with both "
        "kinds of publishers.",
        choices=("best_effort", "reliable"),
        effect=Effect.AT_ACTIVATE,
    )
    buffer_size: int = parameter(
        30,
        "Messages buffered per input. The buffer must cover the delay of the slowest input and the"
        " age of requested stamps: 30 is one second at 30 Hz.",
        limits=(1, 1000),
        effect=Effect.AT_ACTIVATE,
    )
    sync_tolerance: float = parameter(
        DEFAULT_SYNC_TOLERANCE_S,
        "Maximum difference between the stamps of rgb, depth and regions, and between a requested "
        "stamp and the image; seconds.",
        limits=(0.0, 10.0),
    )
    max_age: float = parameter(
        1.0,
        "Maximum age of a frame, unless the request sets its own; seconds by the node's clock.",
        limits=(0.001, 3600.0),
    )
    timeout: float = parameter(
        5.0,
        "Timeout of a request, unless the request sets its own; seconds of real time.",
        limits=(0.001, 3600.0),
    )
    max_timeout: float = parameter(
        60.0,
        "Maximum timeout that a request may set; requests with a longer one, which could occupy "
        "one of the `max_pending` slots for that long, are refused; seconds of real time.",
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
        "Frame for positions and directions in answers, by tf at the stamp of the image, such as "
        "`map`; empty: the optical frame of the image. Needs tf2_ros.",
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#centers-in-another-frame",
    )
    up_source: str = parameter(
        UP_BY_DEPTH,
        "Source of the up direction: depth (normal of the visible floor), tf (z axis of "
        "`gravity_frame`; needs tf2_ros), imu (sensor_msgs/Imu on `imu`, while at rest), or auto: "
        "the first of tf, imu and depth that is available. With tf or imu, a question is refused "
        "if it is not available.",
        choices=UP_SOURCES,
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#up-direction",
    )
    gravity_frame: str = parameter(
        "base_link",
        "tf frame whose z axis is up, such as `base_link` on a level floor, `odom` or `map`.",
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#up-direction",
    )
    floor_frame: str = parameter(
        "",
        "tf frame whose x-y plane is the floor, such as `base_footprint`: tf then gives the height"
        " of the camera above the floor, regardless of `up_source`, so that the floor is known "
        "where it is not visible, and a table top is not mistaken for it; empty: the height is "
        "estimated from depth. Needs tf2_ros.",
        effect=Effect.AT_ACTIVATE,
        more="ros_interfaces.md#up-direction",
    )
    depth_scale: float = parameter(
        SensorSettings.depth_scale,
        "Meters per unit of the depth image; 0 = according to its encoding (16UC1 and mono16: "
        "0.001, 32FC1: 1).",
        limits=(0.0, 1000.0),
    )
    min_depth: float = parameter(
        DepthLimits.min_depth,
        "Depth nearer than this counts as no reading; meters.",
        limits=(0.0, PLAUSIBLE_DEPTH_M[1]),
        more="ros_interfaces.md#what-counts-as-a-depth-reading",
    )
    max_depth: float = parameter(
        DepthLimits.max_depth,
        "Depth farther than this counts as no reading; meters. Set it to the range of your camera.",
        limits=(0.0, PLAUSIBLE_DEPTH_M[1]),
    )
    rectify: str = parameter(
        SensorSettings.rectify,
        "Lens distortion according to `camera_info`: auto removes it from color, depth and "
        "regions, unless the name of the `rgb` topic contains the word `rect` or `rectified`; "
        "never: the images are already rectified.",
        choices=RECTIFY_CHOICES,
        more="ros_interfaces.md#calibration-and-lens-distortion",
    )
    max_pending: int = parameter(
        16,
        "Maximum number of pending questions; one more is refused as BUSY.",
        limits=(1, 256),
        effect=Effect.AT_START,
    )
    max_batch: int = parameter(
        8,
        "Maximum number of questions about the same frame that are answered in one call; 1 = one "
        "by one.",
        limits=(1, 256),
    )
    encode: str = parameter(
        ON_DEMAND,
        "When the answerer processes a frame: when a question asks about it, or, while idle, every"
        " frame that it can keep up with. Answers then come sooner, from the last processed frame,"
        " but a processor core is always busy.",
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
        "Folder for recordings; each activation creates its own, named after the time (UTC).",
        effect=Effect.AT_ACTIVATE,
    )
    record_limit: float = parameter(
        10.0,
        "Size at which a recording ends, in GB; 0 = unlimited.",
        limits=(0.0, 1_000_000.0),
        effect=Effect.AT_ACTIVATE,
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        self.sensor_settings()
        for name, parse in (
            ("instance_labels", self._by_number),
            ("label_map", self._label_map),
            ("object_sizes", lambda: size_priors(self.object_sizes)),
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
                    f"{name} must be the name of a tf frame without a leading slash or surrounding "
                    f"spaces, got {frame!r}"
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
        """Whether a source other than depth gives the camera's mounting."""
        return self.up_source != UP_BY_DEPTH or bool(self.floor_frame)

    def model_settings(self) -> ModelSettings:
        """Device, data type, threads, runtime, answer style and adapter of the model."""
        return ModelSettings(
            self.device,
            self.dtype,
            answer_style=self.answer_style,
            threads=self.threads,
            runtime=self.runtime,
            # Otherwise an adapter may be set for a later change to `answerer: model`.
            adapter=self.adapter if self.answerer in WITH_CHECKPOINT else "",
        )

    def sensor_settings(self) -> SensorSettings:
        """Depth scale, depth limits and rectification of the camera images."""
        limits = DepthLimits(self.min_depth, self.max_depth)
        return SensorSettings(self.depth_scale, limits, self.rectify)

    def fusion_settings(self) -> FusionSettings:
        """How the answers of model and geometry are combined."""
        return FusionSettings(self.prefer, self.abstain_below)

    @property
    def transports(self) -> Transports:
        """Transport of each image input."""
        return {"rgb": self.rgb_transport, "depth": self.depth_transport}

    def region_labels(self) -> RegionLabels:
        """Labels by id, and the label map, for regions."""
        return RegionLabels(self._by_number(), self._label_map())

    def _by_number(self) -> InstanceLabels:
        return InstanceLabels.parse(self.instance_labels)

    def _label_map(self) -> LabelMap:
        return LabelMap.parse(self.label_map)
