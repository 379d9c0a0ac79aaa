"""Starts the node behind `spatial_query`, and a simulated camera unless a real one is used.

    ros2 launch smolrgpt_ros warehouse.launch.py
    ros2 service call /spatial_query smolrgpt_ros/srv/SpatialQuery \
        "{question: 'How many pallets are in buffer 1?'}"

With a RealSense camera (aligned depth enabled) and a segmenter of your own:

    ros2 launch smolrgpt_ros warehouse.launch.py use_sim:=false \
        rgb_topic:=/camera/camera/color/image_raw \
        depth_topic:=/camera/camera/aligned_depth_to_color/image_raw \
        camera_info_topic:=/camera/camera/color/camera_info \
        regions_topic:=/segmenter/regions

The parameters of the nodes and their defaults are in config/warehouse.yaml. Each parameter of the
query node is also an argument of this launch file:

    ros2 launch smolrgpt_ros warehouse.launch.py answerer:=geometric max_depth:=10.0 \
        label_map:="0:pallet,1:buffer"
"""

# ruff: noqa: I001 - this folder is no Python package named launch

from pathlib import Path
from typing import Any

import yaml
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = "smolrgpt_ros"
PARAMETERS_FILE = "warehouse.yaml"
QUERY, PAGE = "spatial_query", "page"
PROFILES_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
TOPICS = (
    "rgb",
    "depth",
    "camera_info",
    "regions",
    "instances",
    "yolo_detections",
    "detections",
    "imu",
)
LOG_LEVELS = ("debug", "info", "warn", "warning", "error", "fatal")
RESPAWN_DELAY_S = 2.0


def config_file(name: str) -> PathJoinSubstitution:
    """Path of an installed file of config/."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), "config", name])


def log_level() -> PythonExpression:
    """The log level as rcl spells it: `warn` instead of `warning`."""
    level = LaunchConfiguration("log_level")
    return PythonExpression(["'warn' if '", level, "' == 'warning' else '", level, "'"])


def end_of_launch(executable: str, remedy: str, unless: str = "", ends_all: bool = True):
    """Handler for a node that has exited on its own: log the reason and shut the launch down.

    Args:
        executable: name of the node's executable.
        remedy: what the operator can do.
        unless: launch argument that, if true, has the node restarted instead.
        ends_all: whether the launch ends; false: the reason is logged and the others go on.
    """

    def on_exit(event, context):
        if context.is_shutdown or (
            unless and IfCondition(LaunchConfiguration(unless)).evaluate(context)
        ):
            return None
        reason = f"{executable} has ended with exit status {event.returncode}, see above; {remedy}"
        return [LogInfo(msg=reason), *([Shutdown(reason=reason)] if ends_all else [])]

    return on_exit


def parameters_of(node_name: str) -> dict[str, Any]:
    """Names and defaults of a node's parameters, from config/warehouse.yaml."""
    nodes = yaml.safe_load((Path(__file__).parents[1] / "config" / PARAMETERS_FILE).read_text())
    return nodes["/**"][node_name]["ros__parameters"]


def given_parameters(context, node_name: str = QUERY) -> dict[str, ParameterValue]:
    """Parameters of a node that are set by launch arguments, with the types of their defaults."""
    known = parameters_of(node_name)
    return {
        name: ParameterValue(
            LaunchConfiguration(name),
            value_type=list[str] if isinstance(default, list) else type(default),
        )
        for name, default in parameters_of(QUERY).items()
        if name in known and LaunchConfiguration(name).perform(context)
    }


def node(executable: str, parameters: dict[str, ParameterValue] | None = None, **options) -> Node:
    """A node of this package with the settings that all nodes share.

    Args:
        executable: name of the executable.
        parameters: override the parameter file.
        options: passed to `Node`.
    """
    return Node(
        package=PACKAGE,
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {"use_sim_time": LaunchConfiguration("use_sim_time"), **(parameters or {})},
        ],
        remappings=[(topic, LaunchConfiguration(f"{topic}_topic")) for topic in TOPICS],
        arguments=["--ros-args", "--log-level", log_level()],
        output="screen",
        **options,
    )


def query_node(context) -> list[Node]:
    """The query node; parameters without a launch argument keep their values from params_file."""
    return [
        node(
            "spatial_query_node",
            given_parameters(context),
            respawn=LaunchConfiguration("respawn"),
            respawn_delay=RESPAWN_DELAY_S,
            on_exit=end_of_launch(
                "spatial_query_node",
                "fix the cause, or have it restarted (respawn:=true)",
                unless="respawn",
            ),
        )
    ]


def page_node(context) -> list[Node]:
    """The page; it reads frames as the query node does, and may die without anybody else."""
    if not IfCondition(LaunchConfiguration("page")).evaluate(context):
        return []
    handler = end_of_launch("page_node", "the other nodes go on without it", ends_all=False)
    return [node("page_node", given_parameters(context, PAGE), on_exit=handler)]


def declared_arguments() -> list[DeclareLaunchArgument]:
    """All arguments with their defaults."""
    texts = {
        "namespace": ("", "Namespace of nodes, topics and service."),
        "params_file": (config_file(PARAMETERS_FILE), "Parameter file of the nodes."),
        **{f"{topic}_topic": (topic, f"Topic for {topic}.") for topic in TOPICS},
        **dict.fromkeys(
            parameters_of(QUERY),
            ("", "Parameter of the query node; empty: value from params_file."),
        ),
    }
    flags = {
        "use_sim": ("true", "Start the simulated camera."),
        "use_sim_time": ("false", "Use the time from /clock, as when a bag is played."),
        "page": ("false", "Serve a web page about the query node; its address is logged."),
        "respawn": ("false", "Restart the query node when it dies, otherwise end the launch."),
    }
    return [
        *(
            DeclareLaunchArgument(name, default_value=default, description=description)
            for name, (default, description) in texts.items()
        ),
        *(
            DeclareLaunchArgument(
                name, default_value=default, description=description, choices=["true", "false"]
            )
            for name, (default, description) in flags.items()
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            description="Minimum severity in the log.",
            choices=list(LOG_LEVELS),
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Arguments, Fast DDS profile, nodes."""
    # A profile that the user has set takes precedence.
    profile = EnvironmentVariable(PROFILES_VARIABLE, default_value=config_file("fastdds.xml"))
    return LaunchDescription(
        [
            *declared_arguments(),
            SetEnvironmentVariable(PROFILES_VARIABLE, profile),
            node(
                "sim_camera_node",
                condition=IfCondition(LaunchConfiguration("use_sim")),
                on_exit=end_of_launch(
                    "sim_camera_node", "fix the cause, or use a real camera (use_sim:=false)"
                ),
            ),
            OpaqueFunction(function=query_node),
            OpaqueFunction(function=page_node),
        ]
    )
