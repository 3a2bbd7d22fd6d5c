import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from keypoint_core.errors import InputError, UnknownNameError
from keypoint_core.geometry.camera import inside, project
from keypoint_core.types import SECOND, Frame, Intrinsics
from keypoint_sim.tasks import TASKS
from keypoint_sim.world import World
from keypoint_trials.quality import record
from keypoint_trials.quality.episodes import (
    EpisodeRequest,
    EpisodeSettings,
    Truth,
    find_episodes,
    load_episode,
    millimetres,
    save_episode,
)
from keypoint_trials.quality.points import pick_points, region_masks
from keypoint_trials.quality.record import Studio, known_conditions, known_tasks, make_requests
from keypoint_trials.quality.sheet import SLIDE, hide, plan_sheet, start_of

HIDDEN = 0.3  # s
REQUEST = EpisodeRequest("clock_button", "rb", 9001, settings=EpisodeSettings(points=10, frames=26, sheet=HIDDEN))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episodes")
    studio = Studio(folder)
    studio.episode(REQUEST)
    studio.episode(replace(REQUEST, settings=EpisodeSettings(points=10, frames=26)))
    studio.close()
    return folder


@pytest.fixture(scope="module")
def episode(root):
    return load_episode(REQUEST.folder(root))


@pytest.fixture(scope="module")
def bare(root):
    """The same without the sheet."""
    return load_episode(replace(REQUEST, settings=EpisodeSettings(points=10, frames=26)).folder(root))


def test_an_episode_is_what_its_docstring_says(episode):
    assert (len(episode), episode.request, episode.outcome) == (26, REQUEST, "running")
    assert episode.pixels.shape == (26, 10, 2) and episode.visible.shape == (26, 10)
    assert episode.camera_poses.shape == (26, 4, 4) and episode.reference_pixels.shape == (10, 2)
    assert set(episode.bodies) == {"clock", "clock_button"}
    for body in set(episode.bodies):
        assert len(set(episode.rigid[episode.bodies == body])) == 1
    assert len(set(episode.rigid)) == 2
    frames = list(episode)
    assert [frame.stamp for frame in frames] == episode.stamps.tolist()
    assert frames[0].color.std() > 10 and np.isfinite(frames[0].depth).mean() > 0.5


def test_points_project_to_their_pixels(episode):
    for points, pixels, visible in zip(episode.points, episode.pixels, episode.visible, strict=True):
        assert np.allclose(project(points, episode.intrinsics), pixels, atol=1e-6)
        assert inside(pixels[visible], replace(episode.intrinsics)).all()


def test_measured_depth_is_that_of_visible_points(bare):
    frame, queries = bare.frame(0), bare.queries
    u, v = np.round(bare.pixels[0, queries]).astype(int).T
    error = frame.depth[v, u] - bare.points[0, queries, 2]
    assert np.nanmedian(np.abs(error)) < 0.005


def test_the_sheet_hides_all_points_and_nothing_after(episode, bare):
    time = episode.stamps / SECOND
    start = start_of(REQUEST.seed)
    full = (time > start + SLIDE) & (time < start + SLIDE + HIDDEN)
    away = (time < start) | (time > start + 2 * SLIDE + HIDDEN)
    assert full.sum() >= 4 and away.sum() >= 8
    assert not episode.visible[full].any()
    assert (episode.visible[away] == bare.visible[away]).all() and bare.visible.mean() > 0.9
    assert (episode.pixels == bare.pixels).all()
    for index in np.flatnonzero(full):
        u, v = np.round(episode.pixels[index]).astype(int).T
        assert (episode.frame(index).depth[v, u] < episode.points[index, :, 2] - 0.1).all()
        assert np.ptp(episode.frame(index).color[v, u].astype(int), axis=1).max() < 30  # grey
    for index in np.flatnonzero(away)[[0, -1]]:
        assert (episode.frame(index).color == bare.frame(index).color).all()


def test_flags_follow_the_sheet_s_edge(episode, bare):
    """Where a point's flag changes under the sheet, the picture has changed there too, and only there."""
    for index in range(len(episode)):
        u, v = np.round(bare.pixels[index]).astype(int).T
        before, after = bare.frame(index).depth[v, u], episode.frame(index).depth[v, u]
        covered = ~np.isclose(before, after, atol=1e-6, equal_nan=True)
        assert (episode.visible[index] == (bare.visible[index] & ~covered)).all()


def test_recorded_once_and_then_reused(root, monkeypatch):
    def refuse(*args):
        raise AssertionError("the world was made again")

    monkeypatch.setattr(record, "World", refuse)
    assert Studio(root).episode(REQUEST) == REQUEST.folder(root)


def test_the_same_request_gives_the_same_bits(tmp_path, root, bare):
    request = replace(bare.request, settings=EpisodeSettings(points=10, frames=3))
    studio = Studio(tmp_path)
    short = load_episode(studio.episode(request))
    studio.close()
    assert (short.pixels == bare.pixels[:3]).all()
    for index in range(3):
        assert (short.frame(index).color == bare.frame(index).color).all()
        assert np.array_equal(short.frame(index).depth, bare.frame(index).depth, equal_nan=True)


def test_a_lost_race_keeps_the_winner(root, episode, tmp_path):
    for _ in range(2):
        save_episode(tmp_path, REQUEST, list(episode)[:2], episode.truth, "running")
    assert find_episodes(tmp_path) == [REQUEST.folder(tmp_path)]
    assert (load_episode(REQUEST.folder(tmp_path)).frame(1).color == episode.frame(1).color).all()


def test_what_a_killed_recording_left_is_cleared_away(tmp_path, episode):
    folder = REQUEST.folder(tmp_path)
    running, ended = (folder.with_name(f".{folder.name}-{pid}") for pid in (1, 2**22 + 1))  # beyond Linux's largest
    for left in (running, ended):
        left.mkdir(parents=True)
    save_episode(tmp_path, REQUEST, list(episode)[:2], episode.truth, "running")
    assert running.exists() and not ended.exists()
    assert find_episodes(tmp_path) == [folder]


def test_damage_is_named(tmp_path, episode):
    folder = tmp_path / "copy"
    shutil.copytree(episode.path, folder)
    (folder / "color" / "0003.png").write_bytes(b"broken")
    with pytest.raises(InputError, match="frame 3 is missing or damaged"):
        load_episode(folder).frame(3)
    values = json.loads((folder / "episode.json").read_text())
    (folder / "episode.json").write_text(json.dumps({**values, "format": 0}))
    with pytest.raises(InputError, match="format 0, expected 1"):
        load_episode(folder)
    with pytest.raises(InputError, match="no recorded episode"):
        load_episode(tmp_path)


def test_depth_is_kept_to_a_millimetre():
    depth = np.array([[0.0004, 0.7004, 0.7006, np.nan, 70.0, -1.0]], np.float32)
    assert millimetres(depth).tolist() == [[0, 700, 701, 0, 0, 0]]
    with pytest.raises(InputError, match="no depth|has none"):
        millimetres(None)


def test_settings_are_checked():
    with pytest.raises(InputError, match="frames >= 2"):
        EpisodeSettings(frames=1)


def still(frames=60, points=5):
    rng = np.random.default_rng(0)
    pixels = np.broadcast_to(rng.uniform([250, 200], [350, 300], (points, 2)), (frames, points, 2)).copy()
    stamps = np.arange(frames, dtype=np.int64) * SECOND // 15
    places = np.concatenate([np.zeros_like(pixels), np.full((frames, points, 1), 1.0)], axis=2)
    poses = np.broadcast_to(np.eye(4), (frames, 4, 4))
    visible = np.ones((frames, points), bool)
    rigid = np.zeros(points, np.int32)
    return Truth(stamps, pixels, visible, places, poses, np.array(["a"] * points), rigid, pixels[0].astype(np.float32))


@pytest.mark.parametrize("seed", range(8))
def test_every_sheet_slides_in_stays_and_leaves(seed):
    intrinsics = Intrinsics(640, 480, 600, 600, 320, 240)
    truth = still()
    sheet = plan_sheet(truth, intrinsics, 2.0, seed)
    hidden = ~hide(truth, sheet).visible
    time = truth.stamps / SECOND
    assert hidden[(time > sheet.start + SLIDE) & (time < sheet.stop - SLIDE)].all()
    assert not hidden[(time <= sheet.start + 0.01) | (time >= sheet.stop)].any()
    frame = Frame(round((sheet.start + 1e-4) * SECOND), np.zeros((480, 640, 3), np.uint8), None, intrinsics)
    assert not sheet.before(frame).color.any()  # it begins outside the picture
    middle = replace(frame, stamp=round((sheet.start + 1.0) * SECOND))
    assert sheet.before(middle).color[truth.pixels[0, :, 1].astype(int), truth.pixels[0, :, 0].astype(int)].all()
    assert (sheet.before(middle).color == sheet.before(middle).color).all()


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_part_of_every_task_has_points(task):
    world = World(task)
    reference = pick_points(world, 24)
    masks = region_masks(world)
    bodies = world.attach(reference.pixels.astype(np.float64)).bodies
    world.close()
    assert len(reference.pixels) == 24
    assert len(np.unique(np.round(reference.pixels), axis=0)) == 24
    for name, members in world.task.regions.items():
        assert np.isin(bodies, members).sum() >= 3, f"{name}: {masks[name].sum()} px"
    assert set(bodies) <= set(world.task.bodies)
    assert cv2.cvtColor(reference.color, cv2.COLOR_RGB2GRAY).std() > 5


def test_names_are_checked():
    assert known_tasks("all") == sorted(TASKS)
    assert known_conditions("RP, light+sheet,sheet") == [("rp", 0.0), ("light", 2.0), ("rp", 2.0)]
    with pytest.raises(UnknownNameError, match="known: .*clock_button"):
        known_tasks("clock_buton")
    with pytest.raises(UnknownNameError, match="known: .*occluder"):
        known_conditions("light+rain")
    requests = make_requests(["a", "b"], [("rp", 0.0), ("rp", 2.0)], range(2), "robot", EpisodeSettings(points=5))
    assert len(requests) == 8 and requests[3].settings == EpisodeSettings(points=5, sheet=2.0)
    assert len({request.folder(record.default_folder()) for request in requests}) == 8
