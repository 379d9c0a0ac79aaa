"""Packages of the offline part; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

MESSAGE_DEFINITIONS = "smolrgpt_core.messages.msg"
"""`msg/*.msg`, which ROS wants at the top, also belong to the package that reads recordings."""

setup(
    packages=[*find_packages(include=["smolrgpt_core*"]), MESSAGE_DEFINITIONS],
    package_dir={MESSAGE_DEFINITIONS: "msg"},
    package_data={
        "smolrgpt_core": ["py.typed"],
        MESSAGE_DEFINITIONS: ["*.msg"],
        "smolrgpt_core.checkpoints": ["nano/*", "nano_regions/*"],
        "smolrgpt_core.language": ["lexicons/*.txt"],
        "smolrgpt_core.page": ["*.css"],
        "smolrgpt_core.report": ["templates/*"],
        "smolrgpt_core.synthesis": ["*.txt"],
    },
)
