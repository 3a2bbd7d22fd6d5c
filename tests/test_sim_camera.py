"""The simulation by itself: its pictures come as late as was asked for, and one request makes one scene."""

from builtin_interfaces.msg import Time
from keypoint_interfaces.srv import ResetWorld

from harness import Graph, with_parameters
from keypoint_bringup.graph import SystemOptions, sim_graph
from keypoint_ros.conversions import from_stamp

LATENCY = 3  # [frames]
RATE = 15


def test_pictures_arrive_some_frames_late(tmp_path):
    sim = [spec for spec in sim_graph(SystemOptions(mode="real_time")) if spec.name == "sim"]
    changes = {"sim": {"latency": LATENCY, "roi_width": 320, "roi_height": 240, "sensor_noise": False}}
    with Graph(with_parameters(sim, changes), tmp_path) as graph:
        graph.until(lambda: len(graph.heard["timing"]) >= 10, 60.0, "ten pictures")
        timings = [message for _, message in graph.heard["timing"]]
    stamps = [from_stamp(timing.header.stamp) for timing in timings]
    late = [(from_stamp(timing.finished) - stamp) * 1e-9 for timing, stamp in zip(timings, stamps, strict=True)]
    assert stamps == sorted(stamps) and len(set(stamps)) == len(stamps)
    assert min(late) > (LATENCY - 0.5) / RATE


def test_a_request_sent_again_puts_up_no_further_scene(tmp_path):
    sim = [spec for spec in sim_graph(SystemOptions(mode="real_time")) if spec.name == "sim"]
    with Graph(sim, tmp_path) as graph:
        first, again, second, third = (
            graph.call("sim/reset", ResetWorld.Request(seed=3, stamp=Time(sec=sec))) for sec in (1, 1, 2, 0)
        )
    assert first.error_code == ResetWorld.Response.OK and again == first
    assert from_stamp(first.stamp) < from_stamp(second.stamp) < from_stamp(third.stamp)
