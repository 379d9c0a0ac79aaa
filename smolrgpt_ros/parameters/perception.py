"""Parameters of `region_node` and `depth_node`; `parameters.pages` documents them."""

from __future__ import annotations

from dataclasses import dataclass

from smolrgpt_core.messages.compressed import RAW, TRANSPORTS
from smolrgpt_core.messages.stamps import DEFAULT_SYNC_TOLERANCE_S
from smolrgpt_core.perception.settings import RegionFinderSettings
from smolrgpt_core.perception.tracking import TrackingSettings
from smolrgpt_ros.parameters.declaration import Effect, check_parameters, parameter

ESTIMATE, COMPLETE = "estimate", "complete"

_AUTOSTART = parameter(
    True,
    "Configure and activate at start; false leaves both to `ros2 lifecycle set` or a lifecycle "
    "manager.",
    effect=Effect.AT_START,
)

_DEVICE = parameter(
    "auto",
    "Device for the models: auto (CUDA if available, otherwise the CPU), cpu, cuda, cuda:1.",
    effect=Effect.AT_CONFIGURE,
)

_RATE = parameter(
    2.0,
    "Maximum number of images processed per second: the first one of each period, by their "
    "stamps; the others are skipped.",
    limits=(0.01, 60.0),
)

_RGB_TRANSPORT = parameter(
    RAW,
    "Transport of rgb: `raw` (sensor_msgs/Image), or `compressed` (sensor_msgs/CompressedImage on "
    "`rgb/compressed`, as image_transport names it).",
    choices=TRANSPORTS["rgb"],
    effect=Effect.AT_ACTIVATE,
)

_RELIABILITY = parameter(
    "best_effort",
    "Reliability that the input subscriptions request; best_effort is compatible with both kinds "
    "of publishers.",
    choices=("best_effort", "reliable"),
    effect=Effect.AT_ACTIVATE,
)


@dataclass(frozen=True)
class RegionParameters:
    """Parameters of `region_node`; durations in seconds.

    Raises:
        ValueError: a parameter is out of range or inconsistent; the message names it.
    """

    autostart: bool = _AUTOSTART
    segmenter: str = parameter(
        RegionFinderSettings.segmenter,
        "Folder or hub id of an instance or panoptic segmentation model, such as Mask2Former; "
        "empty, with `detector` empty too: the small segmenter that comes with the package.",
        effect=Effect.AT_CONFIGURE,
    )
    detector: str = parameter(
        RegionFinderSettings.detector,
        "Folder or hub id of an open-vocabulary detector, such as "
        "IDEA-Research/grounding-dino-tiny; needs `box_segmenter`.",
        effect=Effect.AT_CONFIGURE,
    )
    box_segmenter: str = parameter(
        RegionFinderSettings.box_segmenter,
        "Folder or hub id of the model that gives the masks of the detector's boxes, such as "
        "facebook/sam-vit-base.",
        effect=Effect.AT_CONFIGURE,
    )
    classes: tuple[str, ...] = parameter(
        ("pallet", "buffer", "transporter", "shelf"),
        "What to find: the prompts of the detector, and the only classes of a segmenter that are "
        "published; empty entries are ignored.",
        effect=Effect.AT_CONFIGURE,
    )
    min_score: float = parameter(
        RegionFinderSettings.min_score,
        "Objects of lower confidence are not published.",
        limits=(0.0, 1.0),
        effect=Effect.AT_CONFIGURE,
    )
    min_pixels: int = parameter(
        RegionFinderSettings.min_pixels,
        "Objects with fewer pixels are not published.",
        limits=(1, 1_000_000),
        effect=Effect.AT_CONFIGURE,
    )
    device: str = _DEVICE
    rate: float = _RATE
    min_overlap: float = parameter(
        TrackingSettings.min_overlap,
        "Minimum intersection over union with its mask in the previous image, after alignment of "
        "the images, for an object to keep its id.",
        limits=(0.0, 1.0),
        effect=Effect.AT_ACTIVATE,
    )
    memory: float = parameter(
        TrackingSettings.memory_s,
        "Time after which an object that was not found gets a new id; seconds by the stamps.",
        limits=(0.0, 3600.0),
        effect=Effect.AT_ACTIVATE,
    )
    rgb_transport: str = _RGB_TRANSPORT
    input_reliability: str = _RELIABILITY

    def __post_init__(self) -> None:
        check_parameters(self)
        self.finder_settings()

    @property
    def sync_tolerance(self) -> float:
        """There is one image, which belongs to itself."""
        return 0.0

    def finder_settings(self) -> RegionFinderSettings:
        """Which models find the objects."""
        return RegionFinderSettings(
            self.segmenter,
            self.detector,
            self.box_segmenter,
            tuple(name for name in self.classes if name),
            self.min_score,
            self.min_pixels,
            self.device,
        )

    def tracking_settings(self) -> TrackingSettings:
        """When a region is the object of an earlier image."""
        return TrackingSettings(self.min_overlap, self.memory)


@dataclass(frozen=True)
class DepthParameters:
    """Parameters of `depth_node`; durations in seconds.

    Raises:
        ValueError: a parameter is out of range; the message names it.
    """

    autostart: bool = _AUTOSTART
    checkpoint: str = parameter(
        "",
        "Folder or hub id of a metric depth model, such as "
        "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf or apple/DepthPro-hf. Required.",
        effect=Effect.AT_CONFIGURE,
    )
    mode: str = parameter(
        ESTIMATE,
        "estimate: depth from color alone. complete: the readings of `sensor_depth`, with their "
        "holes filled.",
        choices=(ESTIMATE, COMPLETE),
        effect=Effect.AT_ACTIVATE,
    )
    with_regions: bool = parameter(
        False,
        "Process only images whose `regions` have arrived, so that depth and regions are for the "
        "same images however long both take.",
        effect=Effect.AT_ACTIVATE,
    )
    device: str = _DEVICE
    rate: float = _RATE
    sync_tolerance: float = parameter(
        DEFAULT_SYNC_TOLERANCE_S,
        "Maximum difference between the stamps of rgb, sensor_depth and regions; seconds.",
        limits=(0.0, 10.0),
        effect=Effect.AT_ACTIVATE,
    )
    rgb_transport: str = _RGB_TRANSPORT
    depth_transport: str = parameter(
        RAW,
        "Transport of sensor_depth: `raw`, or `compressedDepth` (sensor_msgs/CompressedImage on "
        "`sensor_depth/compressedDepth`).",
        choices=TRANSPORTS["depth"],
        effect=Effect.AT_ACTIVATE,
    )
    input_reliability: str = _RELIABILITY

    def __post_init__(self) -> None:
        check_parameters(self)
