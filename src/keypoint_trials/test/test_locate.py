"""Points carried from one picture into another, and what is said where that is not possible."""

import json

import cv2
import numpy as np
import pytest

from keypoint_trials import locate

SIZE = (320, 240)
# A plane seen by the nominal camera, turned by 20 degrees and 30 % further away.
TILT = np.deg2rad(20)


def texture(seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    image = np.zeros((*SIZE[::-1], 3), np.float32)
    for cells in (12, 30, 80):
        noise = generator.uniform(0, 255, (cells * 3 // 4, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC) / 3
    return np.clip(image, 0, 255).astype(np.uint8)


def homography() -> np.ndarray:
    """[3, 3] by which the plane's picture moves."""
    matrix = np.array([[320, 0, 159.5], [0, 320, 119.5], [0, 0, 1]], float)
    turn = np.array([[np.cos(TILT), 0, np.sin(TILT)], [0, 1, 0], [-np.sin(TILT), 0, np.cos(TILT)]])
    motion = turn.copy()
    motion[:, 2] = turn @ [0, 0, 1] + [0.02, -0.03, 0.3]
    return matrix @ motion @ np.linalg.inv(matrix)


def write(path, image):
    cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return path


@pytest.fixture
def pictures(tmp_path):
    image = texture()
    moved = cv2.warpPerspective(image, homography(), SIZE, borderValue=(30, 30, 30))
    return write(tmp_path / "reference.png", image), write(tmp_path / "live.png", moved)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command; returns its exit code, the folder and what it printed."""

    def command(*words):
        out = tmp_path / "out"
        monkeypatch.setattr("sys.argv", ["locate", "--out", str(out), *map(str, words)])
        code = locate.main()
        return code, out, " ".join(capsys.readouterr().out.split())

    return command


def test_points_of_a_flat_thing_land_where_it_moved(pictures, run):
    reference, image = pictures
    words = ("--points", "auto:8", "--box", "60,50,200,140", "--flat", "--correspondence", "sift_pnp")
    code, out, said = run("--reference", reference, "--image", image, *words)
    summary = json.loads((out / "summary.json").read_text())
    assert code == 0 and "accepted" in said
    accepted = np.array(summary["accepted"])
    start = np.array(summary["reference"])[None]
    truth = cv2.perspectiveTransform(start, homography())[0]
    error = np.linalg.norm(np.array(summary["located"]) - truth, axis=1)[accepted]
    assert accepted.sum() >= 4 and error.max() < 1.5
    shown = cv2.imread(str(out / "locate.png"))[..., ::-1]
    assert shown.shape[1] == 2 * SIZE[0] + 12 and shown.shape[0] > SIZE[1]


def test_depth_from_files_does_the_same(pictures, run, tmp_path):
    depth = np.full(SIZE[::-1], 1000, np.uint16)
    depth[:20] = 0
    np.save(tmp_path / "depth.npy", depth / 1000.0)
    for path in (write(tmp_path / "depth.png", depth), tmp_path / "depth.npy"):
        words = ("--points", "auto:8", "--box", "60,50,200,140", "--depth", path, "--correspondence", "sift_pnp")
        code, out, said = run("--reference", pictures[0], "--image", pictures[1], *words)
        assert code == 0, said
        assert sum(json.loads((out / "summary.json").read_text())["accepted"]) >= 4


def test_another_picture_is_refused_with_the_reason(pictures, run, tmp_path):
    other = write(tmp_path / "other.png", texture(7))
    words = ("--points", "auto:8", "--flat", "--correspondence", "sift_pnp")
    code, out, said = run("--reference", pictures[0], "--image", other, *words)
    assert code == 1 and "refused: located" in said
    assert json.loads((out / "summary.json").read_text())["refusal"] and (out / "locate.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--points", "auto:8"], "needs a reference with depth"),
        (["--points", "auto:8"], "say that it shows something flat (FLAT=1)"),
        (["--points", "330,20", "--flat"], "outside the 320x240 picture"),
        (["--flat"], "the picture to pick points on"),
        (["--points", "auto:8", "--flat", "--correspondence", "guess"], "unknown correspondence 'guess'; known: "),
        (["--points", "auto:8", "--depth", "missing.png"], "missing.png: expected depth"),
        (["--points", "auto:8", "--flat", "--image", "missing.png"], "missing.png is not there"),
    ],
)
def test_what_cannot_be_done_is_said(pictures, run, words, message):
    defaults = ["--reference", pictures[0], "--image", pictures[1], "--correspondence", "sift_pnp"]
    code, _, said = run(*defaults, *words)
    assert code == 2 and message in said


def test_depth_of_another_size_and_blank_pictures_are_refused(pictures, run, tmp_path):
    small = write(tmp_path / "small.png", np.full((10, 20), 1000, np.uint16))
    start = ("--reference", pictures[0], "--points", "auto:8", "--correspondence", "sift_pnp")
    assert "20x10 pixels, its picture 320x240" in run(*start, "--image", pictures[1], "--depth", small)[2]
    blank = write(tmp_path / "blank.png", np.zeros((240, 320, 3), np.uint8))
    assert "the image is blank" in run(*start, "--image", blank, "--flat")[2]
