"""Quality of service, one name per kind of stream."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliable: bool, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


PUBLISH_STREAM = _profile(5, reliable=True)  # images and states: whoever wants reliability gets it
SUBSCRIBE_STREAM = _profile(5, reliable=False)  # sensor data: newest first, never held up by a lost packet
SUBSCRIBE_STREAM_LOSSLESS = _profile(10, reliable=True)  # lockstep, where the simulation waits for every message
COMMAND = _profile(1, reliable=True)
COMMAND_LOSSLESS = _profile(30, reliable=True, latched=True)
LATCHED = _profile(1, reliable=True, latched=True)  # calibration, trial state


def command(lockstep: bool) -> QoSProfile:
    """The newest command only; in lockstep each of the last ones, also for an arm that found their sender late.

    There the arm takes the one command that the simulation awaits, which an imposed latency makes an older one.
    """
    return COMMAND_LOSSLESS if lockstep else COMMAND


def subscribe_stream(lockstep: bool) -> QoSProfile:
    """Sensor-data QoS in real time; reliable in lockstep."""
    return SUBSCRIBE_STREAM_LOSSLESS if lockstep else SUBSCRIBE_STREAM
