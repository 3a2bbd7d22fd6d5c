import json
import os
import resource

import numpy as np
import pytest

from keypoint_trials.bag import BagError, find_bags, is_finished
from keypoint_trials.definitions import DefinitionError, find_definition, make_typestore
from keypoint_trials.reader import iterate, iterate_depth, read_trial
from keypoint_trials.recorder_thread import RecorderThread
from keypoint_trials.topics import RECORDED


def test_a_trial_comes_back_as_it_was(tmp_path, record_trial, messages):
    bag = read_trial(record_trial(tmp_path))
    assert is_finished(bag.folder)
    assert bag.frames.stamps.tolist() == [index * 10**9 // 15 for index in range(30)]
    assert np.abs(bag.frames[7].astype(int) - messages.picture(7)).mean() < 2
    assert bag.intrinsics.fx == 200.0 and bag.intrinsics.width == 160
    assert np.allclose(bag.keypoints[29].pixels, messages.pixels(29))
    assert bag.keypoints[29].status.tolist() == [0, 0, 0, 1, 2]
    assert np.array_equal(bag.keypoints[29].camera_pose, np.eye(4))
    assert bag.actions[0].positions.shape == (8, 6) and bag.actions[0].dt == pytest.approx(1 / 15)
    assert bag.actions[0].gripper.tolist() == [-0.175] * 8
    assert bag.joints.position.shape == (30, 7) and bag.joints.position[29, 0] == pytest.approx(0.29)
    assert bag.arm[3].reasons == (6,)
    assert [state.phase for state in bag.states][:4] == [1, 2, 3, 4]
    depth = list(iterate_depth(bag.folder))
    assert len(depth) == 30 and np.array_equal(depth[4][1], messages.depth_values(4), equal_nan=True)


def test_messages_outside_a_trial_are_left_out_but_calibration_is_kept(tmp_path, record_trial):
    folder = record_trial(tmp_path, frames=3)
    topics = [topic for topic, _, _ in iterate(folder)]
    assert topics.count("camera/color/image_raw/compressed") == 3
    assert topics.count("camera/color/camera_info") == 1


def test_each_trial_has_its_own_bag_and_none_is_overwritten(tmp_path, make_recorder, messages, clock):
    recorder = make_recorder(tmp_path, clock)
    for trial in ("a", "b", "a"):
        for name, stamp, data in messages.trial(trial, frames=2):
            recorder.handle(name, stamp, data)
        assert recorder.status.bag
        clock.now += 0.4
        recorder.tick()
        assert not recorder.status.bag
    assert [path.name for path in find_bags(tmp_path)] == ["a", "a-1", "b"]
    assert all(is_finished(path) for path in find_bags(tmp_path))
    assert recorder.status.bags == 3


def test_always_records_one_bag(tmp_path, make_recorder, messages):
    recorder = make_recorder(tmp_path, always=True)
    for trial in ("a", "b"):
        for name, stamp, data in messages.trial(trial, frames=2):
            recorder.handle(name, stamp, data)
    recorder.close()
    assert [path.name for path in find_bags(tmp_path)] == ["recording"]
    assert len(read_trial(tmp_path / "recording").frames) == 6


def test_stated_types_are_those_of_ros(store):
    """The installed interface's own type description holds its hash."""
    checked = 0
    for topic in RECORDED:
        for msgtype in (topic.type, topic.recorded_type):
            try:
                described = find_definition(msgtype).with_suffix(".json")
            except DefinitionError:
                continue
            if described.exists():
                hashes = {
                    entry["type_name"]: entry["hash_string"]
                    for entry in json.loads(described.read_text())["type_hashes"]
                }
                assert store.hash_rihs01(msgtype) == hashes[msgtype]
                checked += 1
    if not checked:
        pytest.skip("the workspace is not built")


def test_unknown_type_says_where_it_looked():
    with pytest.raises(DefinitionError, match="nowhere_msgs/msg/Nothing"):
        make_typestore(["nowhere_msgs/msg/Nothing"])


def test_unwritable_folder_is_told_and_the_next_trial_is_tried(tmp_path, make_recorder, messages):
    blocked = tmp_path / "runs"
    blocked.write_text("a file where the folder should be")
    recorder = make_recorder(blocked)
    for name, stamp, data in messages.trial(frames=2):
        recorder.handle(name, stamp, data)
    assert "cannot write a bag" in recorder.status.error and recorder.status.missed > 10
    recorder.close()
    blocked.unlink()
    for name, stamp, data in messages.trial(frames=2):
        recorder.handle(name, stamp, data)
    recorder.close()
    assert recorder.status.error == "" and len(read_trial(blocked / "trial-00").frames) == 2


def test_full_disk_cuts_the_bag_and_is_told(tmp_path, make_recorder, messages):
    recorder = make_recorder(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))  # stands for a full disk
        for index, (name, stamp, data) in enumerate(messages.trial(frames=60)):
            recorder.handle(name, stamp, data)
            if index % 50 == 0:
                recorder._flush_at = 0.0
                recorder.tick()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "is cut off" in recorder.status.error and not recorder.status.bag
    assert recorder.status.missed > 0
    recorder.close()
    assert not is_finished(tmp_path / "trial-00")


def test_bag_is_closed_while_there_is_room_for_its_index(tmp_path, make_recorder, messages):
    recorder = make_recorder(tmp_path, min_free=10**9)
    for name, stamp, data in list(messages.trial(frames=2))[:-2]:
        recorder.handle(name, stamp, data)
    recorder.tick()
    assert "make room" in recorder.status.error
    assert is_finished(tmp_path / "trial-00")


def test_image_that_cannot_be_compressed_is_told(tmp_path, make_recorder, messages):
    recorder = make_recorder(tmp_path, always=True)
    recorder.handle("/camera/color/image_raw", 1, messages.image(0, np.zeros((4, 4), np.uint16), "bayer_rggb16"))
    assert "bayer_rggb16" in recorder.status.error and recorder.status.missed == 1
    recorder.close()


def test_full_queue_drops_and_counts(tmp_path, make_recorder, messages):
    thread = RecorderThread(make_recorder(tmp_path), capacity=200_000)
    image = messages.color(0, 0)
    for _ in range(10):  # not started: nothing is taken out
        thread.put("/camera/color/image_raw", 1, image)
    kept = 180_000 // len(image)
    assert thread.status.dropped == 10 - kept and thread.status.queued == kept * len(image)
    thread.put("/joint_states", 1, messages.joint_state(0, 0.0))  # small ones still go in
    assert thread.status.dropped == 10 - kept
    thread.start()
    thread.stop()
    assert thread.status.queued == 0


def test_thread_writes_everything_before_it_stops(tmp_path, make_recorder, messages):
    thread = RecorderThread(make_recorder(tmp_path), capacity=10**8)
    thread.start()
    for name, stamp, data in messages.trial(frames=20):
        thread.put(name, stamp, data)
    thread.stop()
    assert len(read_trial(tmp_path / "trial-00").frames) == 20
    assert thread.status.dropped == 0 and thread.status.bags == 1


def test_reading_what_is_no_bag(tmp_path):
    with pytest.raises(BagError, match="cannot read the bag"):
        read_trial(tmp_path / os.urandom(2).hex())


@pytest.mark.parametrize("metres, encoding", [(0.123, "16UC1"), (0.1234, "32FC1"), (80.0, "32FC1"), (-0.5, "32FC1")])
def test_depth_is_recorded_in_millimetres_only_where_nothing_is_lost(
    tmp_path, make_recorder, messages, metres, encoding
):
    depth = np.full((4, 6), np.nan, np.float32)
    depth[1:] = np.rint(1e4 * metres) * np.float32(1e-3) / 10 if encoding == "32FC1" else 123 * np.float32(1e-3)
    depth[0, 0] = 0
    recorder = make_recorder(tmp_path, always=True)
    recorder.handle("/camera/depth_registered/image_raw", 1, messages.image(7, depth, "32FC1"))
    recorder.close()
    [(_, _, image)] = iterate(tmp_path / "recording")
    assert image.encoding == encoding
    [(stamp, read)] = iterate_depth(tmp_path / "recording")
    assert stamp == 7 and np.array_equal(read, np.where(depth > 0, depth, np.nan), equal_nan=True)
