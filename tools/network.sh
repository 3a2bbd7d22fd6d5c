# Which other machines the graph can be reached from. Sourced by env.sh; needs KEYPOINT_ROOT and KEYPOINT_CONFIG_DIR.
#
#   KEYPOINT_NETWORK=local   the default: discovery and data stay on this machine (127.0.0.1 and shared memory)
#   KEYPOINT_NETWORK=lan     hosts of one subnet find each other; give all of them the same ROS_DOMAIN_ID

case "${KEYPOINT_NETWORK:=local}" in
    # The profile alone decides; ROS's own ranges would override its transports.
    local) export ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT ;;
    lan) export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET ;;
    *)
        echo "KEYPOINT_NETWORK is '${KEYPOINT_NETWORK}'; known: local, lan" >&2
        unset KEYPOINT_NETWORK
        return 1
        ;;
esac
export KEYPOINT_NETWORK RMW_IMPLEMENTATION=rmw_fastrtps_cpp
export FASTDDS_DEFAULT_PROFILES_FILE="${KEYPOINT_CONFIG_DIR}/dds/${KEYPOINT_NETWORK}.xml"
# Fast DDS 2 (Jazzy) knows only the old name; Fast DDS 3 (Kilted) warns of it.
[ "${ROS_DISTRO:-}" != jazzy ] || export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTDDS_DEFAULT_PROFILES_FILE}"
# Without its profile Fast DDS would listen on every interface.
if [ ! -f "${FASTDDS_DEFAULT_PROFILES_FILE}" ]; then
    echo "DDS profile ${FASTDDS_DEFAULT_PROFILES_FILE} is missing" >&2
    return 1
fi
