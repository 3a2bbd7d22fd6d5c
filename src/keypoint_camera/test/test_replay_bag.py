"""Replay of bags as the recorder writes them."""

import time

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

pytest.importorskip("rclpy")  # the messages are read by keypoint_ros

from keypoint_camera.errors import CameraError, StreamEndedError  # noqa: E402
from keypoint_camera.parameters import CameraParameters, ReplayParameters  # noqa: E402
from keypoint_camera.replay import Replay  # noqa: E402
from keypoint_camera.view import View  # noqa: E402
from keypoint_core.errors import InputError  # noqa: E402
from keypoint_core.types import SECOND, Intrinsics  # noqa: E402

STORE = get_typestore(Stores.ROS2_JAZZY)
SIZE = (64, 48)
INTRINSICS = Intrinsics(*SIZE, 60.0, 61.0, 31.0, 24.0)
BEGIN = 1_700_000_000 * SECOND
STAMPS = [BEGIN + round(k * SECOND / 15) for k in (0, 1, 2, 4)]  # the camera dropped one
VIEW = View.from_parameters(CameraParameters(roi_width=64, roi_height=48))


def make(name, **fields):
    return STORE.types[name](**fields)


def header(stamp):
    moment = make("builtin_interfaces/msg/Time", sec=stamp // SECOND, nanosec=stamp % SECOND)
    return make("std_msgs/msg/Header", stamp=moment, frame_id="camera_color_optical_frame")


def picture(index):
    """Colour [H, W, 3] and depth [H, W] in mm."""
    shade = np.linspace(40 + 10 * index, 200, SIZE[0])[None, :, None] * np.array([1.0, 0.6, 0.3])
    color = np.broadcast_to(shade, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    depth = np.full(SIZE[::-1], 500 + index, np.uint16)
    depth[0] = 0
    return color, depth


def info():
    matrix = INTRINSICS.matrix
    region = make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return make(
        "sensor_msgs/msg/CameraInfo",
        header=header(BEGIN),
        height=SIZE[1],
        width=SIZE[0],
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([matrix, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def image(stamp, pixels, encoding):
    data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
    step = len(data) // SIZE[1]
    return make(
        "sensor_msgs/msg/Image",
        header=header(stamp),
        height=SIZE[1],
        width=SIZE[0],
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=data,
    )


def color_message(stamp, color, jpeg):
    if not jpeg:
        return image(stamp, color, "rgb8")
    data = cv2.imencode(".jpg", color[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].ravel()
    return make("sensor_msgs/msg/CompressedImage", header=header(stamp), format="rgb8; jpeg", data=data)


def write_bag(folder, namespace="", jpeg=True, depth=True, calibration=True):
    root = f"{namespace}/camera"
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:

        def topic(name, kind):
            connection = writer.add_connection(f"{root}/{name}", f"sensor_msgs/msg/{kind}", typestore=STORE)
            return lambda stamp, message: writer.write(
                connection, stamp, STORE.serialize_cdr(message, connection.msgtype)
            )

        if calibration:
            topic("color/camera_info", "CameraInfo")(BEGIN, info())
        put_color = (
            topic("color/image_raw/compressed", "CompressedImage") if jpeg else topic("color/image_raw", "Image")
        )
        put_depth = topic("depth_registered/image_raw", "Image") if depth else None
        for index, stamp in enumerate(STAMPS):
            color, millimetres = picture(index)
            if put_depth and index % 2:  # either half may come first
                put_depth(stamp + 1, image(stamp, millimetres, "16UC1"))
            put_color(stamp + 2, color_message(stamp, color, jpeg))
            if put_depth and not index % 2:
                put_depth(stamp + 3, image(stamp, millimetres, "16UC1"))
    return folder


def play(folder, **parameters):
    replay = Replay(ReplayParameters(file=str(folder), **parameters), VIEW)
    replay.open()
    return replay


@pytest.mark.parametrize("jpeg", [True, False], ids=["jpeg", "raw"])
@pytest.mark.parametrize("namespace", ["", "/lab/arm_1"])
def test_frames_come_back_with_their_spacing(tmp_path, jpeg, namespace):
    replay = play(write_bag(tmp_path / "bag", namespace, jpeg))
    begin = time.time_ns()
    frames = [replay.read() for _ in STAMPS]
    assert np.diff([frame.stamp for frame in frames]).tolist() == np.diff(STAMPS).tolist()
    assert begin <= frames[0].stamp
    assert frames[-1].stamp <= time.time_ns(), "no frame comes before its time"
    for index, frame in enumerate(frames):
        color, millimetres = picture(index)
        assert np.abs(frame.color.astype(int) - color).max() <= (6 if jpeg else 0)
        assert np.isnan(frame.depth[0]).all()
        np.testing.assert_allclose(frame.depth[1:], millimetres[1:] * 1e-3, rtol=1e-6)
        assert frame.intrinsics == INTRINSICS
        assert VIEW.apply(frame) is frame, "a region that was cut out when recorded is not cut out again"
    with pytest.raises(StreamEndedError, match="has ended"):
        replay.read()


def test_a_bag_without_depth_gives_colour_only(tmp_path):
    assert play(write_bag(tmp_path / "bag", depth=False)).read().depth is None


def test_a_looped_bag_begins_anew(tmp_path):
    replay = play(write_bag(tmp_path / "bag"), loop=True)
    stamps = [replay.read().stamp for _ in range(10)]
    assert (np.diff(stamps) >= SECOND // 15 - 1).all()
    replay.close()
    with pytest.raises(CameraError, match="not open"):
        replay.read()
    replay.open()
    assert replay.read().stamp > stamps[-1]


def test_bags_that_cannot_be_played_are_refused(tmp_path):
    with pytest.raises(InputError, match="needs the topics .* it has: /camera/color/image_raw/compressed"):
        play(write_bag(tmp_path / "blind", calibration=False, depth=False)).read()
    cut = write_bag(tmp_path / "cut")
    file = next(cut.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match="`recover`"):
        play(cut).read()
    for file in ("", str(tmp_path / "absent"), str(tmp_path / "absent.mkv")):
        with pytest.raises(InputError, match="expected the parameter 'file'"):
            play(file)
