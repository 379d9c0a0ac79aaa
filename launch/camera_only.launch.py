"""Answers about what a plain RGB camera sees: regions and depth come from foundation models.

    ros2 launch smolrgpt_ros camera_only.launch.py rgb_topic:=/camera/image_raw \
        camera_info_topic:=/camera/camera_info \
        depth_checkpoint:=depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf

The objects are found by the small segmenter that comes with the package, or by names:

    ros2 launch smolrgpt_ros camera_only.launch.py rgb_topic:=/camera/image_raw \
        camera_info_topic:=/camera/camera_info depth_checkpoint:=apple/DepthPro-hf \
        detector:=IDEA-Research/grounding-dino-tiny box_segmenter:=facebook/sam-vit-base \
        classes:="['pallet', 'buffer zone', 'forklift']"

Each argument of warehouse.launch.py, and with it each parameter of the query node, is one of this
file too.
"""

# ruff: noqa: I001 - this folder is no Python package named launch

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = "smolrgpt_ros"
DEPTH, REGIONS = "estimated/depth", "estimated/regions"

ARGUMENTS = {
    "rgb_topic": ("rgb", "Topic of the color images."),
    "camera_info_topic": ("camera_info", "Topic of their calibration."),
    "depth_checkpoint": ("", "Metric depth model, folder or hub id. Required."),
    "segmenter": ("", "Segmentation model; empty: the one of the package."),
    "detector": ("", "Open-vocabulary detector, instead of a segmenter."),
    "box_segmenter": ("", "Gives the masks of the detector's boxes."),
    "classes": ("", "What to find, such as \"['pallet', 'buffer zone']\"; empty: as params_file."),
    "rate": ("", "Images per second that are processed at most; empty: as params_file."),
    # Models are slower than a camera: an image waits longer for its depth and regions.
    "buffer_size": ("300", "Images that wait for their depth and regions."),
    "max_age": ("10.0", "Largest age of an image in seconds."),
}
"""Name: default, description."""

LISTS, NUMBERS = ("classes",), ("rate",)


def perception_node(executable: str, context, names: dict[str, str], **fixed) -> Node:
    """A node that makes regions or depth of the camera's images.

    Args:
        executable: name of the executable.
        context: of the launch.
        names: parameter of the node: argument that sets it, unless it is empty.
        fixed: further parameters.
    """
    given = {
        parameter: ParameterValue(LaunchConfiguration(argument), value_type=_type_of(argument))
        for parameter, argument in names.items()
        if LaunchConfiguration(argument).perform(context)
    }
    topics = {
        "rgb": LaunchConfiguration("rgb_topic"),
        "camera_info": LaunchConfiguration("camera_info_topic"),
        "depth": DEPTH,
        "regions": REGIONS,
    }
    return Node(
        package=PACKAGE,
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {"use_sim_time": LaunchConfiguration("use_sim_time"), **given, **fixed},
        ],
        remappings=list(topics.items()),
        output="screen",
        on_exit=Shutdown(reason=f"{executable} has ended, see above"),
    )


def _type_of(argument: str) -> type:
    if argument in LISTS:
        return list[str]
    return float if argument in NUMBERS else str


def perception_nodes(context) -> list[Node]:
    """Regions, and depth of the same images."""
    finding = ("segmenter", "detector", "box_segmenter", "classes", "rate", "device")
    depth = {"checkpoint": "depth_checkpoint", "rate": "rate", "device": "device"}
    return [
        perception_node("region_node", context, {name: name for name in finding}),
        perception_node("depth_node", context, depth, with_regions=True),
    ]


def generate_launch_description() -> LaunchDescription:
    """The query node of warehouse.launch.py on topics that two more nodes fill."""
    warehouse = Path(__file__).with_name("warehouse.launch.py")
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(warehouse)),
                launch_arguments={
                    "use_sim": "false",
                    "depth_topic": DEPTH,
                    "regions_topic": REGIONS,
                }.items(),
            ),
            OpaqueFunction(function=perception_nodes),
        ]
    )
