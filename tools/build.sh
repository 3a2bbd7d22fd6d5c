#!/usr/bin/env bash
# Builds the workspace with colcon, or only the packages named with what they need: tools/build.sh keypoint_interfaces keypoint_core
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$KEYPOINT_ROOT"
# Links of an earlier build to files that are gone since would end this one.
for folder in build install; do [ ! -d $folder ] || find $folder -xtype l -delete; done
# The venv's own colcon, so that the installed executables run on the venv's Python.
exec python -m colcon --log-base log build --symlink-install \
    --event-handlers console_direct- console_cohesion+ \
    --cmake-args -DBUILD_TESTING=OFF \
    "-DCMAKE_PROJECT_INCLUDE=$KEYPOINT_ROOT/tools/cmake/existing_includes.cmake" \
    "-DPython3_EXECUTABLE=$KEYPOINT_ROOT/.venv/bin/python" \
    ${1:+--packages-up-to "$@"}
