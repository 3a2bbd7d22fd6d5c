"""Messages and dataclasses: what goes out comes back, and what cannot be read is refused in words."""

from __future__ import annotations

import math
from array import array
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keypoint_interfaces.msg import Keypoints as KeypointsMsg
from sensor_msgs.msg import CameraInfo, Image, JointState
from trajectory_msgs.msg import JointTrajectory

from keypoint_core.arms.motion import ChunkFollower
from keypoint_core.errors import InputError
from keypoint_core.geometry.pose import Pose
from keypoint_core.types import SECOND, ActionChunk, Intrinsics, Keypoints, RobotState
from keypoint_ros import conversions as convert

JOINTS = [f"J{i}" for i in range(1, 7)]
STAMP = 1_800_000_000_123_456_789
stamps = st.integers(0, 2**31 * SECOND - 1)
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(stamp=stamps)
def test_stamps_survive_to_the_nanosecond(stamp: int) -> None:
    time = convert.to_stamp(stamp)
    assert 0 <= time.nanosec < SECOND and convert.from_stamp(time) == stamp
    assert convert.from_stamp(convert.to_header(stamp, "f").stamp) == stamp


def with_stride(message: Image, padding: int) -> Image:
    """The same picture with bytes of padding behind every row."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    message.step += padding
    message.data = array("B", padded.tobytes())
    return message


class TestImages:
    @settings(deadline=None)
    @given(image=shapes.flatmap(lambda s: hnp.arrays(np.uint8, (*s, 3))), padding=st.integers(0, 5))
    def test_rgb_comes_back_with_any_stride(self, image: np.ndarray, padding: int) -> None:
        message = with_stride(convert.to_image(image, "rgb8", STAMP, "camera"), padding)
        np.testing.assert_array_equal(convert.color_from_image(message), image)
        assert message.header.frame_id == "camera" and convert.from_stamp(message.header.stamp) == STAMP

    @pytest.mark.parametrize(("encoding", "order"), [("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2]), ("bgra8", [2, 1, 0])])
    def test_other_orders_of_channels(self, encoding: str, order: list[int]) -> None:
        channels = 4 if "a" in encoding else 3
        image = np.random.default_rng(0).integers(0, 255, (5, 7, channels), dtype=np.uint8)
        message = with_stride(convert.to_image(image, encoding, STAMP, ""), 3)
        np.testing.assert_array_equal(convert.color_from_image(message), image[..., order])

    def test_grey_becomes_colour(self) -> None:
        image = np.arange(12, dtype=np.uint8).reshape(3, 4)
        color = convert.color_from_image(with_stride(convert.to_image(image, "mono8", STAMP, ""), 1))
        np.testing.assert_array_equal(color, np.dstack([image] * 3))

    def test_a_crop_of_an_image_is_sent_as_it_looks(self) -> None:
        image = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)[2:7, 1:5]
        np.testing.assert_array_equal(convert.color_from_image(convert.to_image(image, "rgb8", 0, "")), image)

    @settings(deadline=None)
    @given(
        depth=shapes.flatmap(lambda s: hnp.arrays(np.float32, s, elements=st.floats(width=32))),
        padding=st.integers(0, 5),
        big=st.booleans(),
    )
    def test_depth_in_metres(self, depth: np.ndarray, padding: int, big: bool) -> None:
        message = convert.to_image(depth.astype(">f4") if big else depth, "32FC1", STAMP, "")
        message.is_bigendian = int(big)
        found = convert.depth_from_image(with_stride(message, padding))
        valid = np.isfinite(depth) & (depth > 0)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found[valid], depth[valid])
        assert np.isnan(found[~valid]).all()

    @settings(deadline=None)
    @given(depth=shapes.flatmap(lambda s: hnp.arrays(np.uint16, s)), padding=st.integers(0, 5), big=st.booleans())
    def test_depth_in_millimetres(self, depth: np.ndarray, padding: int, big: bool) -> None:
        message = convert.to_image(depth.astype(">u2") if big else depth, "16UC1", STAMP, "")
        message.is_bigendian = int(big)
        found = convert.depth_from_image(with_stride(message, padding))
        np.testing.assert_allclose(found[depth > 0], depth[depth > 0] * 1e-3, rtol=1e-6)
        assert np.isnan(found[depth == 0]).all()

    @pytest.mark.parametrize("read", [convert.color_from_image, convert.depth_from_image])
    def test_another_encoding_is_refused_by_name(self, read: Any) -> None:
        with pytest.raises(InputError, match="got 'bayer_rggb8'"):
            read(Image(encoding="bayer_rggb8", height=1, width=1, step=1, data=array("B", [0])))

    @pytest.mark.parametrize(
        "changes", [{"data": array("B", bytes(59))}, {"step": 11}, {"height": 6}, {"width": 5}, {"data": array("B")}]
    )
    def test_less_data_than_the_size_needs_is_refused(self, changes: dict[str, Any]) -> None:
        fields = {"encoding": "rgb8", "height": 5, "width": 4, "step": 12, "data": array("B", bytes(60))}
        with pytest.raises(InputError, match="needs rows of"):
            convert.color_from_image(Image(**{**fields, **changes}))

    @pytest.mark.parametrize("size", [(0, 0), (0, 4), (4, 0)])
    def test_an_image_without_pixels_is_refused(self, size: tuple[int, int]) -> None:
        message = Image(encoding="32FC1", height=size[0], width=size[1], step=4 * size[1])
        with pytest.raises(InputError):
            convert.depth_from_image(message)


class TestCameraInfo:
    @pytest.mark.parametrize("distortion", [(), (0.1, -0.2, 0.01, 0.02), (0.1,) * 5, (0.1,) * 8])
    def test_it_comes_back(self, distortion: tuple[float, ...]) -> None:
        intrinsics = Intrinsics(640, 480, 607.1, 606.9, 319.5, 240.25, distortion)
        message = convert.to_camera_info(intrinsics, STAMP, "camera")
        assert convert.from_camera_info(message) == intrinsics
        assert message.p[0] == 607.1 and len(message.d) >= 4

    def test_a_camera_without_calibration_is_refused(self) -> None:
        with pytest.raises(InputError, match="positive"):
            convert.from_camera_info(CameraInfo(width=640, height=480))

    def test_a_fisheye_is_refused(self) -> None:
        message = convert.to_camera_info(Intrinsics(640, 480, 600.0, 600.0, 320.0, 240.0, (0.1,) * 4), STAMP, "")
        message.distortion_model = "equidistant"
        with pytest.raises(InputError, match="'equidistant'"):
            convert.from_camera_info(message)


def make_keypoints(n: int, seed: int, depth: str) -> Keypoints:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3)).astype(np.float32)
    points[{"all": slice(0, 0), "some": slice(0, n, 2), "none": slice(None)}[depth]] = np.nan
    return Keypoints(
        STAMP,
        rng.permutation(1000)[:n].astype(np.int32) - 500,
        rng.uniform(-10, 700, (n, 2)).astype(np.float32),
        rng.random(n).astype(np.float32),
        rng.integers(0, 4, n).astype(np.uint8),
        points,
    )


class TestKeypoints:
    @settings(deadline=None)
    @given(n=st.integers(0, 40), seed=st.integers(0, 1000), depth=st.sampled_from(["all", "some", "none"]))
    def test_they_come_back_bit_for_bit(self, n: int, seed: int, depth: str) -> None:
        keypoints = make_keypoints(n, seed, depth)
        message = convert.to_keypoints(keypoints, "camera", (640, 480))
        found = convert.from_keypoints(message)
        for name in ("ids", "pixels", "confidence", "status", "points"):
            expected, value = getattr(keypoints, name), getattr(found, name)
            assert value.dtype == expected.dtype
            np.testing.assert_array_equal(value, expected)
        assert found.stamp == STAMP and (message.image_width, message.image_height) == (640, 480)
        assert len(message.x) == (0 if depth == "none" else n) or n == 1

    @pytest.mark.parametrize("field", ["u", "v", "confidence", "status", "x", "y", "z"])
    @pytest.mark.parametrize("change", [-1, 1])
    def test_other_lengths_are_refused(self, field: str, change: int) -> None:
        message = convert.to_keypoints(make_keypoints(5, 0, "all"), "", (1, 1))
        values = getattr(message, field)
        setattr(message, field, values[:-1] if change < 0 else values + values[:1])
        with pytest.raises(InputError, match="5 ids"):
            convert.from_keypoints(message)

    @pytest.mark.parametrize("field", ["x", "y", "z"])
    def test_a_single_axis_of_depth_is_refused(self, field: str) -> None:
        message = convert.to_keypoints(make_keypoints(3, 0, "none"), "", (1, 1))
        setattr(message, field, array("f", [1.0] * 3))
        with pytest.raises(InputError, match="3 ids"):
            convert.from_keypoints(message)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_pixels_that_are_no_numbers_are_refused(self, value: float) -> None:
        message = KeypointsMsg(ids=[1], confidence=[1.0], status=[0], u=[value], v=[1.0])
        with pytest.raises(InputError, match="finite"):
            convert.from_keypoints(message)

    @given(turn=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1))
    def test_the_camera_pose_comes_back_bit_for_bit(self, turn: tuple[float, float, float, float]) -> None:
        pose = Pose((0.1, -0.2, 0.3), turn).matrix
        keypoints = replace(make_keypoints(3, 0, "all"), camera_pose=pose)
        found = convert.from_keypoints(convert.to_keypoints(keypoints, "camera", (640, 480)))
        np.testing.assert_array_equal(found.camera_pose, pose)

    def test_an_unknown_camera_pose_stays_unknown(self) -> None:
        assert convert.from_keypoints(convert.to_keypoints(make_keypoints(3, 0, "all"), "", (1, 1))).camera_pose is None
        assert convert.from_keypoints(KeypointsMsg()).camera_pose is None

    @pytest.mark.parametrize("pose", [np.ones((4, 4)), np.diag([2.0, 1, 1, 1]), np.diag([1.0, 1, np.nan, 1])])
    def test_a_camera_pose_that_is_none_is_refused(self, pose: np.ndarray) -> None:
        message = convert.to_keypoints(make_keypoints(3, 0, "all"), "", (1, 1))
        message.camera_pose = pose.ravel()
        with pytest.raises(InputError, match="rigid transform"):
            convert.from_keypoints(message)


class TestPoses:
    @given(numbers=st.tuples(*[st.floats(-10, 10)] * 7).filter(lambda n: any(n[3:])))
    def test_they_come_back_bit_for_bit(self, numbers: tuple[float, ...]) -> None:
        pose = Pose(numbers[:3], numbers[3:])
        message = convert.to_pose(pose, STAMP, "base")
        assert convert.from_pose(message) == pose
        assert message.header.frame_id == "base" and convert.from_stamp(message.header.stamp) == STAMP

    def test_a_quaternion_of_zeros_is_refused(self) -> None:
        message = convert.to_pose(Pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)), STAMP, "base")
        message.pose.orientation.w = 0.0
        with pytest.raises(InputError, match="quaternion"):
            convert.from_pose(message)


class TestJointStates:
    STATE = RobotState(STAMP, np.arange(6.0), np.arange(6.0) / 10, np.full(6, np.nan), -0.3)

    @given(order=st.permutations(range(8)))
    def test_joints_are_found_in_any_order_among_others(self, order: list[int]) -> None:
        names = [*JOINTS, "grip", "elsewhere"]
        values = [*range(6), -0.3, 99.0]
        message = JointState(header=convert.to_header(STAMP))
        message.name, message.position = [names[i] for i in order], [float(values[i]) for i in order]
        message.velocity = [values[i] / 10 for i in order]
        state = convert.from_joint_state(message, JOINTS, "grip")
        np.testing.assert_array_equal(state.position, np.arange(6.0))
        np.testing.assert_allclose(state.velocity, np.arange(6.0) / 10)
        assert np.isnan(state.effort).all() and state.gripper == -0.3 and state.stamp == STAMP

    @pytest.mark.parametrize("gripper", ["", "grip"])
    def test_they_come_back(self, gripper: str) -> None:
        state = convert.from_joint_state(convert.to_joint_state(self.STATE, JOINTS, gripper, "base"), JOINTS, gripper)
        for name in ("position", "velocity", "effort"):
            np.testing.assert_array_equal(getattr(state, name), getattr(self.STATE, name))
        assert state.gripper == -0.3 if gripper else math.isnan(state.gripper)

    def test_missing_joints_are_refused_with_both(self) -> None:
        message = convert.to_joint_state(self.STATE, [*JOINTS[:5], "K6"], "", "")
        with pytest.raises(InputError, match=r"expected \['J1'.*'J6'\], got .*'K6'"):
            convert.from_joint_state(message, JOINTS, "")

    def test_names_without_positions_are_refused(self) -> None:
        with pytest.raises(InputError):
            convert.from_joint_state(JointState(name=JOINTS, position=[0.0] * 5), JOINTS, "")


def make_chunk(seed: int = 0, horizon: int = 8, dt: float = 1 / 15) -> ActionChunk:
    rng = np.random.default_rng(seed)
    return ActionChunk(STAMP, dt, rng.normal(size=(horizon, 6)), rng.normal(size=horizon))


class TestTrajectories:
    @settings(deadline=None)
    @given(
        seed=st.integers(0, 1000),
        horizon=st.integers(1, 12),
        dt=st.one_of(st.sampled_from([1 / 15, 1 / 30, 0.1]), st.floats(1e-3, 2.0)),
        delay=st.integers(0, 400_000_000),
    )
    def test_setpoints_are_the_same_bits_before_and_after(self, seed: int, horizon: int, dt: float, delay: int) -> None:
        chunk = make_chunk(seed, horizon, dt)
        message = convert.to_trajectory(chunk, JOINTS, "grip", "policy")
        found = convert.from_trajectory(message, JOINTS, "grip")
        assert found.stamp == STAMP and message.header.frame_id == "policy"
        start = np.full(6, 0.1)
        here, there = (ChunkFollower(c, "policy", STAMP, STAMP + delay, start, 0.0) for c in (chunk, found))
        for tick in range(40):
            now = STAMP + delay + tick * 10_000_000
            a, b = here.setpoint(now), there.setpoint(now)
            assert a.position.tobytes() == b.position.tobytes() and a.velocity.tobytes() == b.velocity.tobytes()
            assert a.gripper == b.gripper and a.observation == b.observation

    def test_joints_are_found_in_any_order(self) -> None:
        chunk = make_chunk()
        message = convert.to_trajectory(chunk, JOINTS, "grip", "p")
        message.joint_names = message.joint_names[::-1]
        for point in message.points:
            point.positions = point.positions[::-1]
        found = convert.from_trajectory(message, JOINTS, "grip")
        np.testing.assert_array_equal(found.positions, chunk.positions)
        np.testing.assert_array_equal(found.gripper, chunk.gripper)

    def test_without_a_gripper_it_is_nan(self) -> None:
        found = convert.from_trajectory(convert.to_trajectory(make_chunk(), JOINTS, "", "p"), JOINTS, "grip")
        assert np.isnan(found.gripper).all() and found.positions.shape == (8, 6)

    def test_nan_targets_pass_for_the_gate_to_refuse(self) -> None:
        chunk = make_chunk()
        chunk.positions[3, 2] = np.nan
        found = convert.from_trajectory(convert.to_trajectory(chunk, JOINTS, "grip", "p"), JOINTS, "grip")
        np.testing.assert_array_equal(found.positions, chunk.positions)

    @pytest.mark.parametrize("name", ["missing", "twice", "ragged", "empty", "uneven", "zero", "past", "repeated"])
    def test_what_does_not_fit_is_refused(self, name: str) -> None:
        message = convert.to_trajectory(make_chunk(), JOINTS, "grip", "p")
        self.spoil(message, name)
        with pytest.raises(InputError, match="action: expected"):
            convert.from_trajectory(message, JOINTS, "grip")

    @staticmethod
    def spoil(message: JointTrajectory, how: str) -> None:
        points = message.points
        if how == "missing":
            message.joint_names = ["K1", *message.joint_names[1:]]
        elif how == "twice":
            message.joint_names = [*message.joint_names, "J1"]
        elif how == "ragged":
            points[4].positions = points[4].positions[:-1]
        elif how == "empty":
            message.points = []
        elif how == "uneven":
            points[3].time_from_start.nanosec += 20_000
        elif how == "zero":
            points[0].time_from_start.sec = points[0].time_from_start.nanosec = 0
        elif how == "past":
            points[0].time_from_start.sec = -1
        elif how == "repeated":
            points[2].time_from_start = points[1].time_from_start
