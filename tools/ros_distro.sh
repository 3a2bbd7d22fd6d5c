#!/bin/sh
# Prints the ROS 2 distribution of /opt/ros that is used; nothing where ROS comes from the wheels.
for distro in ${ROS_DISTRO:-} kilted jazzy; do
    case "$distro" in
        kilted | jazzy) [ -f "/opt/ros/$distro/setup.sh" ] && echo "$distro" && exit 0 ;;
    esac
done
exit 0
