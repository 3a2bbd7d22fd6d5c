#!/bin/sh
# Checks the system packages that the workspace needs: tools/check_system.sh [python]
#
# What is missing is installed with apt-get when run as root or with sudo that asks for no password; else the exact
# command is printed and the exit status is 1. NO_INSTALL=1 only ever prints the command.
set -u
python="${1:-python3}"
missing=""

need() { missing="$missing $1"; }
has() { command -v "$1" >/dev/null 2>&1; }
has_library() {
    { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q "$1" && return 0
    for folder in /usr/lib /usr/lib/*-linux-gnu /usr/local/lib /usr/lib64; do
        ls "$folder/$1".so* >/dev/null 2>&1 && return 0
    done
    return 1
}

if has "$python"; then
    version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    case "$version" in
        3.10 | 3.11 | 3.12 | 3.13) ;;
        *) echo "[setup] Python 3.10 to 3.13 is needed, $python is $version; choose one with: make setup PYTHON=python3.11" >&2
           exit 1 ;;
    esac
    "$python" -c 'import venv, ensurepip' 2>/dev/null || need "python$version-venv"
    "$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        need "python$version-dev"
else
    case "$python" in
        python3) need python3; need python3-venv; need python3-dev ;;
        *) need "$python"; need "$python-venv"; need "$python-dev" ;;
    esac
fi
has cmake || need cmake
has g++ || need g++
has make || need make
has git || need git
case "${MUJOCO_GL:-osmesa}" in
    osmesa) has_library libOSMesa || need libosmesa6 ;;
    egl) has_library libEGL || need libegl1 ;;
esac
if [ -z "$("$(dirname "$0")/ros_distro.sh")" ] && [ "$(uname -m)" != x86_64 ]; then
    echo "[setup] the ROS wheels exist for x86_64 only, this machine is $(uname -m)." >&2
    echo "[setup] Install ROS 2 Kilted or Jazzy from apt (https://docs.ros.org), then run this again." >&2
    exit 1
fi

[ -z "$missing" ] && exit 0
install="apt-get install -y --no-install-recommends$missing"
if [ -z "${NO_INSTALL:-}" ] && has apt-get; then
    if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo"; else as_root="no"; fi
    if [ "$as_root" != no ]; then
        echo "[setup] installing system packages:$missing"
        run="$as_root env DEBIAN_FRONTEND=noninteractive"
        # The package lists may be absent (containers) or old; they are fetched when the first try fails.
        $run $install >/dev/null 2>&1 || { $run apt-get -qq update && $run $install >/dev/null; } && exit 0
    fi
fi
echo "[setup] system packages are missing:$missing" >&2
echo "[setup] install them, then run this again:" >&2
echo "    sudo apt-get update && sudo $install" >&2
exit 1
