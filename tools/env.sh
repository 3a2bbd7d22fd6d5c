# The environment of the workspace. Source it (bash or zsh), or run one command in it with tools/run.
#
#   source tools/env.sh
#
# With /opt/ros/{kilted,jazzy} that installation is used, else ROS 2 from the wheels in .venv.
# Settings that are respected when already given:
#   KEYPOINT_NETWORK  local (default: nothing is reachable from outside this machine) or lan (several hosts)
#   MUJOCO_GL         osmesa (default: renders anywhere), egl (a GPU without a screen) or glfw (a screen)
#   OMP_NUM_THREADS   1 (default): threads of the linear algebra spin while they wait, and many processes share the cores
#   KEYPOINT_MODELS_DIR, KEYPOINT_CONFIG_DIR, ROS_DISTRO, ROS_DOMAIN_ID

_keypoint_root="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." >/dev/null && pwd)"
# What another checkout's env.sh set in this shell was not given by anyone.
[ "${KEYPOINT_ROOT:-$_keypoint_root}" = "$_keypoint_root" ] || unset KEYPOINT_MODELS_DIR KEYPOINT_CONFIG_DIR
export KEYPOINT_ROOT="$_keypoint_root"

# Puts $2 in front of the colon-separated list in variable $1, once.
_keypoint_prepend() {
    eval "_keypoint_list=\${$1:-}"
    case ":${_keypoint_list}:" in
        *":$2:"*) ;;
        *) export "$1=$2${_keypoint_list:+:${_keypoint_list}}" ;;
    esac
}

_keypoint_shell=bash
[ -n "${ZSH_VERSION:-}" ] && _keypoint_shell=zsh

_keypoint_distro="$("${KEYPOINT_ROOT}/tools/ros_distro.sh")"
if [ -n "${_keypoint_distro}" ]; then
    # ROS's set-up scripts read unset variables.
    case $- in *u*) _keypoint_nounset=1; set +u ;; *) _keypoint_nounset= ;; esac
    . "/opt/ros/${_keypoint_distro}/setup.${_keypoint_shell}"
    [ -n "${_keypoint_nounset}" ] && set -u
else
    export ROS_DISTRO=kilted ROS_VERSION=2
    # ROS's log folder lies below HOME and rcl refuses to start without one.
    export HOME="${HOME:-/tmp}"
    # The wheels would execute python a second time to set this, in random order; done here it stays as given:
    # the workspace first (prepended by local_setup below), then the venv, then the wheels' private libraries.
    _keypoint_libs="$(find "${KEYPOINT_ROOT}"/.venv/lib/python3*/site-packages -maxdepth 1 -type d \
        -name 'ros_*.libs' 2>/dev/null | sort | tr '\n' ':')"
    _keypoint_prepend LD_LIBRARY_PATH "${KEYPOINT_ROOT}/.venv/lib:${_keypoint_libs%:}"
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    # The overlay does not chain to the venv by itself.
    _keypoint_prepend AMENT_PREFIX_PATH "${KEYPOINT_ROOT}/.venv"
    _keypoint_prepend CMAKE_PREFIX_PATH "${KEYPOINT_ROOT}/.venv"
fi

export VIRTUAL_ENV="${KEYPOINT_ROOT}/.venv"
_keypoint_prepend PATH "${KEYPOINT_ROOT}/.venv/bin"

if [ -f "${KEYPOINT_ROOT}/install/local_setup.${_keypoint_shell}" ]; then
    case $- in *u*) _keypoint_nounset=1; set +u ;; *) _keypoint_nounset= ;; esac
    . "${KEYPOINT_ROOT}/install/local_setup.${_keypoint_shell}"
    [ -n "${_keypoint_nounset}" ] && set -u
    # Executables lie where `ros2 run` looks for them; `up` is typed by hand.
    _keypoint_prepend PATH "${KEYPOINT_ROOT}/install/keypoint_bringup/lib/keypoint_bringup"
fi

export MUJOCO_GL="${MUJOCO_GL:-osmesa}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export KEYPOINT_MODELS_DIR="${KEYPOINT_MODELS_DIR:-${KEYPOINT_ROOT}/models}"
export KEYPOINT_CONFIG_DIR="${KEYPOINT_CONFIG_DIR:-${KEYPOINT_ROOT}/config}"
unset _keypoint_root _keypoint_list _keypoint_libs _keypoint_shell _keypoint_distro _keypoint_nounset

. "${KEYPOINT_ROOT}/tools/network.sh"
