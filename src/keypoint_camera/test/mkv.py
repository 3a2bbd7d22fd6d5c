"""Writes an Azure Kinect recording without an Azure Kinect, through the libraries that pyk4a brings.

The calibration is made up, of the size that real ones have.
"""

import ctypes
import json
from pathlib import Path

import numpy as np
import pyk4a

SIZE = 14  # parameters of a lens
IDENTITY = [1.0, 0, 0, 0, 1, 0, 0, 0, 1]
BGRA, MJPG, DEPTH = 3, 0, 4


class Configuration(ctypes.Structure):
    """k4a_device_configuration_t of k4atypes.h."""

    _fields_ = [
        (name, kind)
        for kind, names in (
            (ctypes.c_int, ("color_format", "color_resolution", "depth_mode", "camera_fps")),
            (ctypes.c_bool, ("synchronized_images_only",)),
            (ctypes.c_int32, ("depth_delay",)),
            (ctypes.c_int, ("wired_sync_mode",)),
            (ctypes.c_uint32, ("subordinate_delay",)),
            (ctypes.c_bool, ("disable_streaming_indicator",)),
        )
        for name in names
    ]


def calibration_json():
    """Raw calibration: lenses in parts of the sensor's size, k1..k6, two zeros, p2, p1."""
    depth = [0.5, 0.51, 0.4925, 0.4925, 5.1, 3.3, 0.17, 5.4, 5.0, 0.9, 0, 0, 6e-5, -5e-5]
    color = [0.4985, 0.5065, 0.4745, 0.6325, 0.52, -2.6, 1.45, 0.4, -2.42, 1.38, 0, 0, -2e-4, 6e-4]
    tilt = 0.1
    turn = [1, 0, 0, 0, np.cos(tilt), np.sin(tilt), 0, -np.sin(tilt), np.cos(tilt)]
    cameras = [
        camera("D0", "Depth", depth, 1024, 1024, IDENTITY, [0, 0, 0]),
        camera("PV0", "PhotoVideo", color, 4096, 3072, turn, [-0.032, -0.002, 0.004]),
    ]
    sensors = [inertial("Gyro"), inertial("Accelerometer")]
    return json.dumps({"CalibrationInformation": {"Cameras": cameras, "InertialSensors": sensors}})


def camera(place, purpose, parameters, width, height, rotation, translation):
    return {
        "Intrinsics": {
            "ModelParameterCount": SIZE,
            "ModelParameters": parameters,
            "ModelType": "CALIBRATION_LensDistortionModelBrownConrady",
        },
        "Location": f"CALIBRATION_CameraLocation{place}",
        "Purpose": f"CALIBRATION_CameraPurpose{purpose}",
        "MetricRadius": 1.74,
        "Rt": {"Rotation": rotation, "Translation": translation},
        "SensorHeight": height,
        "SensorWidth": width,
        "Shutter": "CALIBRATION_ShutterTypeUndefined",
        "ThermalAdjustmentParams": {"Params": [0] * 12},
    }


def inertial(kind):
    return {
        "BiasTemperatureModel": [0] * 12,
        "BiasUncertainty": [1e-4] * 3,
        "Id": "CALIBRATION_InertialSensorId_LSM6DSM",
        "MixingMatrixTemperatureModel": [0] * 36,
        "ModelTypeMask": 16,
        "Noise": [1e-3] * 6,
        "Rt": {"Rotation": IDENTITY, "Translation": [0, 0, 0]},
        "SecondOrderScaling": [0] * 9,
        "SensorType": f"CALIBRATION_InertialSensorType_{kind}",
        "TemperatureBounds": [5, 60],
        "TemperatureC": 0,
    }


def write_mkv(path, frames, color_format=BGRA):
    """Writes frames: (device time [us], colour [720, 1280, 4] uint8 or a JPEG file [n] uint8, depth [576, 640] uint16)."""
    k4a, record = libraries()
    config = Configuration(color_format, 1, 2, 1, True, 0, 0, 0, False)  # 720p, NFOV unbinned, 15 per second
    handle = ctypes.c_void_p()
    raw = calibration_json().encode()
    check(record.k4a_record_create(str(path).encode(), None, config, ctypes.byref(handle)))
    check(record.k4a_record_add_attachment(handle, b"calibration.json", raw, ctypes.c_size_t(len(raw))))
    check(record.k4a_record_add_tag(handle, b"K4A_CALIBRATION_FILE", b"calibration.json"))
    check(record.k4a_record_write_header(handle))
    for time, color, depth in frames:
        capture = ctypes.c_void_p()
        check(k4a.k4a_capture_create(ctypes.byref(capture)))
        for pixels, kind, put in (
            (color, color_format, k4a.k4a_capture_set_color_image),
            (depth, DEPTH, k4a.k4a_capture_set_depth_image),
        ):
            image = make_image(k4a, pixels, kind, time)
            put(capture, image)
            k4a.k4a_image_release(image)
        check(record.k4a_record_write_capture(handle, capture))
        k4a.k4a_capture_release(capture)
    check(record.k4a_record_flush(handle))
    record.k4a_record_close(handle)


def make_image(k4a, pixels, kind, time):
    pixels = np.ascontiguousarray(pixels)
    image = ctypes.c_void_p()
    height, width = pixels.shape[:2] if pixels.ndim > 1 else (720, 1280)
    if pixels.ndim > 1:
        check(k4a.k4a_image_create(kind, width, height, pixels.nbytes // height, ctypes.byref(image)))
    else:
        kept = (ctypes.c_uint8 * pixels.nbytes).from_buffer_copy(pixels.tobytes())
        KEPT.append(kept)
        size = ctypes.c_size_t(pixels.nbytes)
        check(k4a.k4a_image_create_from_buffer(kind, width, height, 0, kept, size, None, None, ctypes.byref(image)))
    ctypes.memmove(k4a.k4a_image_get_buffer(image), pixels.ctypes.data, pixels.nbytes)
    k4a.k4a_image_set_device_timestamp_usec(image, ctypes.c_uint64(time))
    return image


KEPT = []  # buffers that images of the SDK point to


def libraries():
    """libk4a and libk4arecord, as pyk4a has loaded them."""
    folder = Path(pyk4a.__file__).parents[1] / "pyk4a_bundle.libs"
    k4a, record = (ctypes.CDLL(str(next(folder.glob(f"{name}-*")))) for name in ("libk4a", "libk4arecord"))
    handle = ctypes.c_void_p
    k4a.k4a_image_get_buffer.restype = handle
    for library, names in (
        (k4a, ("image_release", "capture_release", "image_get_buffer")),
        (record, ("record_write_header", "record_flush", "record_close")),
    ):
        for name in names:
            getattr(library, f"k4a_{name}").argtypes = [handle]
    k4a.k4a_capture_set_color_image.argtypes = k4a.k4a_capture_set_depth_image.argtypes = [handle, handle]
    k4a.k4a_image_set_device_timestamp_usec.argtypes = [handle, ctypes.c_uint64]
    record.k4a_record_create.argtypes = [ctypes.c_char_p, handle, Configuration, ctypes.POINTER(handle)]
    record.k4a_record_add_attachment.argtypes = [handle, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    record.k4a_record_add_tag.argtypes = [handle, ctypes.c_char_p, ctypes.c_char_p]
    record.k4a_record_write_capture.argtypes = [handle, handle]
    return k4a, record


def check(result):
    """Raises where the SDK says no."""
    if result:
        raise RuntimeError("the Azure Kinect SDK refused; see its own words on stderr")
