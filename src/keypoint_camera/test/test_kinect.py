"""The Azure Kinect without one: synthetic recordings through pyk4a, a device that plays them, and no device at all."""

import builtins
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pyk4a = pytest.importorskip("pyk4a", reason="pyk4a is not installed (requirements-hardware.txt)")

import mkv  # noqa: E402

from keypoint_camera import azure_kinect  # noqa: E402
from keypoint_camera.azure_kinect import WARM_UP, AzureKinect  # noqa: E402
from keypoint_camera.errors import CameraError, StreamEndedError  # noqa: E402
from keypoint_camera.parameters import AzureKinectParameters, CameraParameters, ReplayParameters  # noqa: E402
from keypoint_camera.replay import Replay  # noqa: E402
from keypoint_camera.view import View  # noqa: E402
from keypoint_core.errors import InputError, MissingDependencyError  # noqa: E402
from keypoint_core.geometry import camera  # noqa: E402

VIEW = View.from_parameters(CameraParameters())
KINDS = pyk4a.CalibrationType
WALL = 800  # distance of a wall before the depth camera [mm]
DEPTH_PIXELS = [(250.0, 200.0), (320.0, 300.0), (400.0, 240.0), (220.0, 330.0), (430.0, 350.0)]
PERIOD = 66_666  # [us]


@pytest.fixture(scope="module")
def calibration():
    mode, resolution = pyk4a.DepthMode.NFOV_UNBINNED, pyk4a.ColorResolution.RES_720P
    return pyk4a.Calibration.from_raw(mkv.calibration_json(), mode, resolution)


@pytest.fixture(scope="module")
def points(calibration):
    """Points [N, 3] of the wall in the colour frame [m], by the SDK's own lens model."""
    found = [calibration.convert_2d_to_3d(pixel, WALL, KINDS.DEPTH, KINDS.COLOR) for pixel in DEPTH_PIXELS]
    return np.array(found) / 1e3


def picture(calibration, points):
    """The wall [720, 1280, 4] with a soft red dot at each point, where the SDK projects it."""
    v, u = np.mgrid[0:720, 0:1280]
    image = np.zeros((720, 1280, 4), np.uint8)
    for point in points:
        x, y = calibration.convert_3d_to_2d(tuple(point * 1e3), KINDS.COLOR)
        dot = 255 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 8)
        image[..., 2] = np.maximum(image[..., 2], dot.astype(np.uint8))
    return image


@pytest.fixture(scope="module", params=[mkv.BGRA, mkv.MJPG], ids=["bgra", "mjpg"])
def recording(request, calibration, points, tmp_path_factory):
    """Four frames of the wall."""
    path = tmp_path_factory.mktemp("mkv") / "wall.mkv"
    color = picture(calibration, points)
    if request.param == mkv.MJPG:
        color = cv2.imencode(".jpg", color[..., :3], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].ravel()
    depth = np.full((576, 640), WALL, np.uint16)
    depth[:, :100] = 0
    mkv.write_mkv(path, [(1_000_000 + i * PERIOD, color, depth) for i in range(4)], request.param)
    return path


def play(path, **parameters):
    replay = Replay(ReplayParameters(file=str(path), **parameters), VIEW)
    replay.open()
    return replay


def assert_wall(frame, points):
    """The dots and the depth are where a pinhole sees the points."""
    assert frame.color.shape == (480, 640, 3)
    assert frame.intrinsics.distortion == ()
    assert frame.intrinsics.cx == pytest.approx(637.58 - 320, abs=0.01)
    for point, (x, y) in zip(points, camera.project(points, frame.intrinsics), strict=True):
        column, row = round(x), round(y)
        patch = frame.color[row - 8 : row + 9, column - 8 : column + 9, 0].astype(float)
        patch[patch < 30] = 0  # JPEG's noise
        v, u = np.mgrid[row - 8 : row + 9, column - 8 : column + 9]
        found = np.array([(patch * u).sum(), (patch * v).sum()]) / patch.sum()
        assert np.linalg.norm(found - [x, y]) < 0.15
        assert frame.depth[row, column] == pytest.approx(point[2], abs=1e-3)
    assert frame.color[..., 1:].max() < 60, "the dots are red"
    assert np.isnan(frame.depth[:, 200:440]).mean() < 0.01, "registration closes the wall"


def test_a_recording_gives_rectified_colour_and_registered_depth(recording, points):
    """By the SDK's own calibration, without its OpenGL."""
    replay = play(recording)
    assert_wall(replay.read(), points)
    replay.close()


def test_a_recording_keeps_its_spacing_and_ends(recording):
    replay = play(recording)
    begin = time.time_ns()
    stamps = [replay.read().stamp for _ in range(4)]
    assert np.diff(stamps).tolist() == [PERIOD * 1000] * 3
    assert 0 <= stamps[0] - begin < 1e9
    assert stamps[-1] <= time.time_ns(), "no frame comes before its time"
    with pytest.raises(StreamEndedError, match="has ended"):
        replay.read()


def test_a_looped_recording_begins_anew(recording):
    replay = play(recording, loop=True)
    stamps = [replay.read().stamp for _ in range(6)]
    assert (np.diff(stamps) >= PERIOD * 1000).all()
    assert stamps[4] - stamps[3] < 5e9
    replay.close()


def test_what_is_no_recording_is_refused(tmp_path):
    path = tmp_path / "broken.mkv"
    path.write_bytes(b"not matroska")
    with pytest.raises(InputError, match="cannot play"):
        play(path).read()


class Device:
    """Stands for pyk4a.PyK4A: plays a recording's first capture for ever, as fast as asked."""

    path = None
    queued = 0
    log: list[str] = []
    silent = vanished = False
    serials = ("111", "222")

    def __init__(self, config, device_id):
        self.index, self.opened, self.is_running = device_id, False, False
        self.playback = pyk4a.PyK4APlayback(self.path)
        self.playback.open()
        self.calibration = self.playback.calibration
        self.serial = self.serials[device_id]

    def open(self):
        self.opened = True

    def start(self):
        self.is_running = True
        self.log.append(f"start {self.serial}")

    def stop(self):
        assert self.opened, "the real one crashes"
        self.opened = self.is_running = False
        self.log.append("stop")

    def close(self):
        self.opened = False

    def get_capture(self, timeout):
        if self.vanished:
            raise pyk4a.K4AException
        if self.silent or (timeout == 0 and Device.queued == 0):
            raise pyk4a.K4ATimeoutException
        Device.queued = max(0, Device.queued - 1)
        self.log.append("capture")
        try:
            return self.playback.get_next_capture()
        except EOFError:
            self.playback.seek(0)
            return self.playback.get_next_capture()


@pytest.fixture
def device(monkeypatch, recording):
    fake = SimpleNamespace(**{name: getattr(pyk4a, name) for name in pyk4a.__all__})
    fake.PyK4A, fake.connected_device_count = Device, lambda: len(Device.serials)
    monkeypatch.setattr(azure_kinect, "load_pyk4a", lambda: fake)
    for name, value in {"path": recording, "queued": 0, "log": [], "silent": False, "vanished": False}.items():
        monkeypatch.setattr(Device, name, value)
    return Device


def test_a_device_streams(device, points):
    kinect = AzureKinect(AzureKinectParameters(serial="222"), VIEW)
    kinect.open()
    assert device.log == ["start 222"] + ["capture"] * WARM_UP
    frame = kinect.read()
    assert_wall(frame, points)
    assert abs(time.time_ns() - frame.stamp) < 5e9
    assert abs(time.time_ns() - frame.received) < 5e9
    kinect.close()
    kinect.close()
    assert device.log[-1] == "stop"
    assert device.log.count("stop") == 1


def test_what_has_queued_up_is_skipped(device):
    kinect = AzureKinect(AzureKinectParameters(), VIEW)
    kinect.open()
    del device.log[:]
    device.queued = 6
    kinect.read()
    assert device.log.count("capture") == 6


def test_silence_and_loss_are_errors(device):
    kinect = AzureKinect(AzureKinectParameters(), VIEW)
    with pytest.raises(CameraError, match="not open"):
        kinect.read()
    kinect.open()
    device.silent = True
    with pytest.raises(CameraError, match="no frame from the Azure Kinect for 1 s"):
        kinect.read()
    device.vanished = True
    with pytest.raises(CameraError, match="vanished"):
        kinect.read()
    with pytest.raises(CameraError, match="does not start"):
        kinect.open()
    assert device.log[-1] == "stop", "a device that does not start is given back"


def test_an_unknown_serial_number_names_those_connected(device):
    with pytest.raises(CameraError, match=r"'333' \(connected: 111, 222\)"):
        AzureKinect(AzureKinectParameters(serial="333"), VIEW).open()


def test_without_a_device_the_message_says_what_to_check():
    if pyk4a.connected_device_count():
        pytest.skip("there is an Azure Kinect on this machine")
    kinect = AzureKinect(AzureKinectParameters(), VIEW)
    kinect.close()
    with pytest.raises(CameraError, match=r"no answer from Azure Kinect 0 \(0 connected\).*USB 3.*99-k4a.rules"):
        kinect.open()
    kinect.close()  # the SDK would crash


def test_without_pyk4a_the_message_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def fail(name, *args, **kwargs):
        if name == "pyk4a":
            raise ImportError("Cannot import k4a_module")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(MissingDependencyError, match=r"requirements-hardware.txt.*numpy < 2"):
        AzureKinect(AzureKinectParameters(), VIEW)


def test_only_the_cameras_own_rates_are_accepted():
    with pytest.raises(InputError, match="knows 5, 15, 30, got 10"):
        AzureKinectParameters(fps=10)
