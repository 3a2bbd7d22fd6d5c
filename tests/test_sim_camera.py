"""The simulation's camera in real time: pictures come as late as was asked for, with the stamps of their exposure."""

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
