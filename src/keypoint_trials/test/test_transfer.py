import csv
import json
import math
import sys

import cv2
import numpy as np
import pytest

from keypoint_core.arms.description import DEFAULT_ROBOT
from keypoint_core.correspondence import CORRESPONDENCES
from keypoint_core.correspondence.reference import Reference
from keypoint_core.errors import CorrespondenceError, InputError, MissingDependencyError
from keypoint_core.types import Frame, Intrinsics, Keypoints, KeypointStatus
from keypoint_sim.world import World
from keypoint_trials.quality import transfer
from keypoint_trials.quality.located import Located, crop_of, from_json, to_json
from keypoint_trials.quality.scenes import HARD, PLAIN, Scene, kinds_of_scenes, make_scene
from keypoint_trials.quality.transfer_report import Group, group, make_table, roc_auc
from keypoint_trials.quality.transfer_sheet import contact_sheet

INTRINSICS = Intrinsics(320, 240, 300, 300, 160, 120)
TRUTH = np.array([[100.0, 100.0], [120.0, 100.0], [140.0, 100.0], [330.0, 100.0]])  # the last is out of view


def located(errors=(0, 0, 0, 0), accepted=(1, 1, 1, 1), score=(1, 1, 1, 1), reason="", kind=PLAIN, seed=0, seconds=0.1):
    """One scene, located `errors` px below the truth."""
    frame = Frame(5, np.full((240, 320, 3), 90, np.uint8), None, INTRINSICS)
    scene = Scene(frame, TRUTH, np.array([True, True, False, False]))
    if reason:
        return Located.of("clock_button", "rp", kind, seed, "sift_pnp", scene, None, reason, seconds)
    pixels = (TRUTH + np.column_stack([np.zeros(4), errors])).astype(np.float32)
    status = np.where(accepted, KeypointStatus.VISIBLE, KeypointStatus.LOST).astype(np.uint8)
    nowhere = np.full((4, 3), np.nan, np.float32)
    found = Keypoints(5, np.arange(4, dtype=np.int32), pixels, np.array(score, np.float32), status, nowhere)
    return Located.of("clock_button", "rp", kind, seed, "sift_pnp", scene, found, "", seconds)


def test_figures_by_hand():
    one = located(errors=(1, 6, 20, 99), accepted=(1, 1, 0, 1), score=(0.9, 0.4, 0.5, 1))
    two = located(errors=(3, 3, 10, 0), accepted=(0, 0, 1, 1), score=(0.3, 0.2, 0.8, 1))
    three = located(reason="located 2 of 4 keypoints, 4 needed")
    four = located(reason="located 0 of 4 keypoints, 4 needed")
    figures = Group("clock_button", "sift_pnp", PLAIN, (one, two, three, four)).figures()
    # What lies out of view counts nowhere. Accepted: errors 1, 6 and 10 of 12 keypoints in view.
    assert (figures["scenes"], figures["refused"], figures["keypoints"]) == (4, 2, 12)
    assert figures["accepted"] == 3 / 12 and figures["accepted_of_visible"] == 2 / 8
    assert figures["hidden_of_accepted"] == pytest.approx(1 / 3)
    assert figures["mean_px"] == pytest.approx(17 / 3) and figures["median_px"] == pytest.approx(6)
    assert figures["wrong"] == pytest.approx(1 / 3) and figures["wrong_5"] == pytest.approx(2 / 3)
    # Hits (1, 3, 3 px) score .9, .3, .2; misses .4, .5, .8: 3 of 9 pairs are in order.
    assert figures["auc"] == pytest.approx(3 / 9)
    # Both accepted points of the first scene are 3.5 px low on average, the one of the second 10 px.
    assert figures["common_shift_p95_px"] == pytest.approx(3.5 + 0.95 * 6.5)
    assert figures["reasons"] == {"located 2 of 4 keypoints, 4 needed": 2}


def test_nothing_accepted_is_not_a_number_but_a_line():
    figures = Group("a", "b", PLAIN, (located(reason="too dark"),)).figures()
    assert math.isnan(figures["mean_px"]) and math.isnan(figures["auc"]) and figures["accepted"] == 0
    groups = group([located(reason="too dark"), located(kind="covered")])
    assert [one.kind for one in groups] == ["plain", "hard"] and make_table(groups).row_count == 2


def test_roc_auc():
    assert roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert roc_auc(np.array([0.5, 0.5]), np.array([False, True])) == 0.5
    assert math.isnan(roc_auc(np.array([0.5]), np.array([True])))


@pytest.mark.parametrize("one", [located(errors=(1, 2, 3, 4)), located(reason="too dark")])
def test_results_come_back_from_a_file(one):
    again = from_json(json.loads(json.dumps(to_json(one))))
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            assert getattr(again, name).shape == value.shape and np.allclose(getattr(again, name), value)
        else:
            assert getattr(again, name) == value


def test_a_crop_holds_what_is_in_view():
    color = np.zeros((240, 320, 3), np.uint8)
    left, top, part = crop_of(color, TRUTH)
    assert left <= 70 and part.shape[1] * 3 == part.shape[0] * 4 and left + part.shape[1] == 320
    assert crop_of(color, np.array([[-500.0, 900.0]]))[2].shape == (120, 160, 3)
    assert crop_of(color, np.array([[0.0, 0.0], [319.0, 239.0]]))[2].shape == (240, 320, 3)


def test_the_sheet_shows_scenes_that_were_kept(tmp_path):
    reference = Reference(
        np.zeros((240, 320, 3), np.uint8), None, INTRINSICS, np.arange(3, dtype=np.int32), TRUTH[:3].astype(np.float32)
    )
    results = [located(seed=i, errors=(i, 0, 0, 0)) for i in range(14)] + [located(reason="dark", seed=20)]
    (tmp_path / "clock_button" / "rp").mkdir(parents=True)
    for one in results:
        cv2.imwrite(
            str(tmp_path / "clock_button" / "rp" / f"{one.seed}-plain.jpg"), np.full((120, 160, 3), 90, np.uint8)
        )
    sheet = contact_sheet(reference, results, tmp_path)
    assert sheet.shape == (3 * 330 + 40, 4 * 408, 3)
    assert contact_sheet(reference, [results[-1]], tmp_path).shape == (330 + 40, 4 * 408, 3)


@pytest.fixture(scope="module")
def world():
    world = World("clock_button")
    yield world
    world.close()


@pytest.fixture(scope="module")
def points(world):
    return world.attach(np.array([[300.0, 330.0], [330.0, 330.0], [320.0, 350.0], [310.0, 310.0]]))


def test_hard_scenes_are_what_they_say(world, points):
    scenes = {kind: make_scene(world, points, 3, "rp", kind) for kind in (PLAIN, *HARD)}
    plain = scenes[PLAIN]
    assert all((scene.truth == plain.truth).all() for scene in scenes.values())
    assert scenes["glare"].frame.color.mean() > 1.5 * plain.frame.color.mean()
    assert scenes["dark"].frame.color.mean() < 0.3 * plain.frame.color.mean()
    assert cv2.Laplacian(scenes["blurred"].frame.color, cv2.CV_64F).std() < 0.6 * (
        cv2.Laplacian(plain.frame.color, cv2.CV_64F).std()
    )
    covered = scenes["covered"]
    assert covered.visible.sum() < plain.visible.sum()
    u, v = np.round(plain.truth).astype(int).T
    changed = ~np.isclose(covered.frame.depth[v, u], plain.frame.depth[v, u], equal_nan=True)
    assert (covered.visible == plain.visible & ~changed).all() and changed.any()
    again = make_scene(world, points, 3, "rp", "covered").frame
    assert (again.color == covered.frame.color).all()


def test_kinds_of_scenes():
    assert kinds_of_scenes(2, 2.5) == [PLAIN] * 2 + [*HARD, next(iter(HARD))]
    assert kinds_of_scenes(3, 0) == [PLAIN] * 3


def test_a_checkpoint_of_another_view_is_refused(world, monkeypatch):
    view = transfer.View("clock_button", "hebi_chopsticks", "atk", 8)
    checkpoint = transfer.load_checkpoint("clock_button/atk")
    assert (transfer.make_reference(world, view).pixels == checkpoint.reference().pixels).all()
    reference = checkpoint.reference()
    moved = Reference(
        reference.color, reference.depth + np.float32(0.05), reference.intrinsics, reference.ids, reference.pixels
    )

    class Moved:
        def reference(self):
            return moved

    monkeypatch.setattr(transfer, "load_checkpoint", lambda name: Moved())
    with pytest.raises(InputError, match=r"5\d mm from where the simulation's does"):
        transfer.make_reference(world, view)
    spread = transfer.View("clock_button", "hebi_chopsticks", "", 8)
    assert len(transfer.make_reference(world, spread).ids) == 8


class Refuses:
    """A correspondence that refuses every other scene and is 1 px off in the rest."""

    def __init__(self, reference):
        self.reference, self.count = reference, 0

    def locate(self, frame):
        self.count += 1
        if self.count % 2 == 0:
            raise CorrespondenceError(f"located {self.count} of 12 keypoints")
        n = len(self.reference.ids)
        status = np.zeros(n, np.uint8)
        nowhere = np.full((n, 3), np.nan, np.float32)
        return Keypoints(
            frame.stamp, self.reference.ids, self.reference.pixels, np.ones(n, np.float32), status, nowhere
        )


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("KEYPOINT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(transfer, "_bench", None)
    monkeypatch.setitem(CORRESPONDENCES._entries, "refuses", f"{__name__}:Refuses")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    monkeypatch.setattr(sys.modules[__name__], "Refuses", Refuses, raising=False)

    def call(*arguments):
        base = ["transfer", "--n", "2", "--hard", "1", "--workers", "1", "--condition", "rp"]
        monkeypatch.setattr(sys, "argv", [*base, *arguments])
        transfer.main()

    yield call
    if transfer._bench is not None:
        transfer._bench.close()


def test_the_command_measures_and_resumes(command, tmp_path, capsys, monkeypatch):
    command("--correspondence", "refuses")
    out = " ".join(capsys.readouterr().out.split())
    assert "refused 1 x clock_button, refuses, plain: located 2 of 12 keypoints" in out
    run = (tmp_path / "runs" / "latest").resolve()
    summary = json.loads((run / "summary.json").read_text())
    assert [(g["kind"], g["scenes"], g["refused"]) for g in summary["groups"]] == [("plain", 2, 1), ("hard", 2, 1)]
    assert summary["groups"][0]["mean_px"] > 3  # the reference's own pixels are not where the object is
    assert len(list(csv.DictReader((run / "results.csv").open()))) == 4
    assert cv2.imread(str(run / "clock_button-refuses.png")).shape[1] == 4 * 408
    before = {path: path.stat().st_mtime_ns for path in (run / "results").rglob("*.json")}
    command("--correspondence", "refuses", "--resume", str(run))
    assert before == {path: path.stat().st_mtime_ns for path in (run / "results").rglob("*.json")}
    assert json.loads((run / "summary.json").read_text())["groups"] == summary["groups"]


def test_the_default_correspondence_meets_the_bars_on_plain_scenes(command, tmp_path):
    command("--hard", "0")
    (one,) = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())["groups"]
    assert one["accepted"] > 0.9 and one["mean_px"] < 3 and one["wrong"] <= 0.02


def late(reference):
    """A correspondence that notices only when it is made that its package is missing."""
    raise MissingDependencyError("dift needs the Python package 'diffusers': pip install diffusers (Apache-2.0)")


@pytest.mark.parametrize("task, seeds", [("clock_hand", (4017, 10011)), ("glass_lid_lift", (4007, 4009, 4021))])
def test_what_looks_like_another_part_of_its_thing_is_not_taken_for_it(task, seeds, tmp_path):
    """A hand that turned is not on the dial's figure where it was; a lid with eight leaves is not turned by one."""
    bench = transfer.Bench(transfer.View(task, DEFAULT_ROBOT, "atk", transfer.POINTS))
    for seed in seeds:
        job = transfer.Job(bench.view, "light+camera", seed, PLAIN, ("descriptors",), tmp_path)
        found = bench.locate("descriptors", job, bench.scene(job))
        assert found.accepted.sum() >= 4, (seed, found.reason)
        error = np.linalg.norm(found.pixels - found.truth, axis=1)
        assert error[found.accepted].max() < 8, seed
    bench.close()


def test_what_is_not_installed_is_left_out(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(CORRESPONDENCES._entries, "late", f"{__name__}:late")
    monkeypatch.setattr(sys.modules[__name__], "late", late, raising=False)
    command("--correspondence", "late,refuses", "--hard", "0", "--n", "1")
    assert "left out late: dift needs the Python package 'diffusers'" in " ".join(capsys.readouterr().out.split())
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert list(summary["left_out"]) == ["late"]
    assert [one["correspondence"] for one in summary["groups"]] == ["refuses"]
    with pytest.raises(SystemExit, match="no correspondence of 'late' can be run here.*pip install diffusers"):
        command("--correspondence", "late")


def choosy(reference):
    raise InputError("choosy needs a reference with depth")


def test_a_reference_that_does_not_fit_is_a_refusal(command, tmp_path, monkeypatch):
    monkeypatch.setitem(CORRESPONDENCES._entries, "choosy", f"{__name__}:choosy")
    monkeypatch.setattr(sys.modules[__name__], "choosy", choosy, raising=False)
    command("--correspondence", "choosy", "--hard", "0", "--n", "1")
    (one,) = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())["groups"]
    assert one["reasons"] == {"cannot be made: choosy needs a reference with depth": 1} and one["refused"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--correspondence", "sift"), "unknown correspondence 'sift'; known: .*sift_pnp"),
        (("--task", "tea"), "unknown task 'tea'; known: .*clock_button"),
        (("--condition", "fog"), "unknown condition 'fog'; known: .*light"),
    ],
)
def test_what_is_not_known_is_said(command, arguments, message):
    with pytest.raises(SystemExit, match=message):
        command(*arguments)
