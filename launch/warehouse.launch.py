"""Starts the node behind `spatial_query`, and a simulated camera unless a real one is used.

    ros2 launch smolrgpt_ros warehouse.launch.py
    ros2 service call /spatial_query smolrgpt_ros/srv/SpatialQuery \
        "{question: 'How many pallets are in buffer 2?'}"

With a RealSense camera (aligned depth enabled) and a segmenter of your own:

    ros2 launch smolrgpt_ros warehouse.launch.py use_sim:=false \
        rgb_topic:=/camera/camera/color/image_raw \
        depth_topic:=/camera/camera/aligned_depth_to_color/image_raw \
        camera_info_topic:=/camera/camera/color/camera_info \
        regions_topic:=/segmenter/regions

Parameters of the nodes, and their defaults, are in config/warehouse.yaml.
"""

# ruff: noqa: I001 - this folder is no Python package named launch

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = "smolrgpt_ros"
PROFILES_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
TOPICS = ("rgb", "depth", "camera_info", "regions", "instances")


def config_file(name: str) -> PathJoinSubstitution:
    """Path of an installed file of config/."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), "config", name])


def node(executable: str, **options) -> Node:
    """A node of this package with what all nodes share."""
    return Node(
        package=PACKAGE,
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {"use_sim_time": LaunchConfiguration("use_sim_time")},
        ],
        remappings=[(topic, LaunchConfiguration(f"{topic}_topic")) for topic in TOPICS],
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
        **options,
    )


def generate_launch_description() -> LaunchDescription:
    """Arguments, Fast DDS profile, nodes."""
    arguments = {
        "namespace": ("", "Namespace of nodes, topics and service."),
        "params_file": (config_file("warehouse.yaml"), "Parameters of the nodes."),
        "use_sim": ("true", "Start the simulated camera."),
        "use_sim_time": ("false", "Take the time from /clock, as when a bag is played."),
        "log_level": ("info", "Lowest severity in the log: debug, info, warn, error or fatal."),
        **{f"{topic}_topic": (topic, f"Topic for {topic}.") for topic in TOPICS},
    }
    # A profile that the user has chosen stays.
    profile = EnvironmentVariable(PROFILES_VARIABLE, default_value=config_file("fastdds.xml"))
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in arguments.items()
            ),
            SetEnvironmentVariable(PROFILES_VARIABLE, profile),
            node("sim_camera_node", condition=IfCondition(LaunchConfiguration("use_sim"))),
            node("spatial_query_node"),
        ]
    )
