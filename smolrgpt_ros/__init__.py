"""ROS 2 nodes around smolrgpt_core.

The interfaces (`smolrgpt_ros.msg`, `smolrgpt_ros.srv`) are generated into the installed package.
"""

from pkgutil import extend_path

# Python run in the source tree finds this folder first; the generated modules lie in the install
# folder further down the path.
__path__ = extend_path(__path__, __name__)
