# Source this file in bash: it puts the project's Python, ROS 2 and nodes into the shell.
smolrgpt_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

if [ ! -e "$smolrgpt_root/.venv/bin/activate" ]; then
  echo "run 'make setup' first: $smolrgpt_root/.venv does not exist" >&2
  return 1
fi
. "$smolrgpt_root/.venv/bin/activate"
if [ -d "$VIRTUAL_ENV/share/rclpy" ]; then
  export AMENT_PREFIX_PATH="$VIRTUAL_ENV" CMAKE_PREFIX_PATH="$VIRTUAL_ENV"
fi
. "$smolrgpt_root/install/local_setup.bash"
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$smolrgpt_root/config/fastdds.xml}"
unset smolrgpt_root
