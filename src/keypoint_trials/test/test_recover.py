import shutil
import sys

import pytest
from rosbags.highlevel import AnyReader

from keypoint_trials import recover as command
from keypoint_trials.bag import BagError, BagWriter, bag_file, is_finished
from keypoint_trials.reader import iterate, read_trial
from keypoint_trials.recover import recover


@pytest.fixture
def whole(tmp_path, record_trial):
    return record_trial(tmp_path, frames=30)


def cut(folder, share):
    """Cuts a bag off at a share of its size, as a crash before its metadata was final."""
    file = bag_file(folder)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    (folder / "metadata.yaml").unlink()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_what_lies_before_the_damage_comes_back(tmp_path, make_recorder, messages, clock, share):
    recorder = make_recorder(tmp_path, clock)
    for name, stamp, data in messages.trial(frames=30):
        recorder.handle(name, stamp, data)
        clock.now += 0.01
        recorder.tick()
    recorder.close()
    folder = tmp_path / "trial-00"
    before = [(topic, time) for topic, time, _ in iterate(folder)]
    cut(folder, share)
    with pytest.raises(BagError, match="recover"):
        read_trial(folder)
    result = recover(folder)
    assert not result.complete
    assert is_finished(folder) and list(folder.glob("*.damaged"))
    restored = [(topic, time) for topic, time, _ in iterate(folder)]
    assert result.messages == len(restored) >= share * len(before) * 0.6 - 5
    assert result.lost > 0 or len(restored) == len(before)  # where only the index was cut off
    assert sorted(restored) == sorted(before[: len(restored)])
    with AnyReader([folder]) as reader:
        assert all(connection.digest.startswith("RIHS01_") for connection in reader.connections)


def test_a_whole_bag_is_left_alone(whole):
    content = bag_file(whole).read_bytes()
    assert recover(whole).complete
    assert bag_file(whole).read_bytes() == content


def test_lost_metadata_is_made_anew(whole):
    (whole / "metadata.yaml").unlink()
    result = recover(whole)
    assert result.lost == 0 and is_finished(whole) and len(read_trial(whole).frames) == 30


def test_zeros_at_the_end_are_damage(whole):
    with bag_file(whole).open("r+b") as file:  # as a file system leaves behind after a power cut
        file.seek(-4000, 2)
        file.write(bytes(4000))
    assert recover(whole).messages > 0
    assert is_finished(whole)


def test_a_bag_without_messages_can_be_recovered(tmp_path, store):
    writer = BagWriter(tmp_path / "empty", store)
    writer.add_topic("/clock", "rosgraph_msgs/msg/Clock")
    writer.start()
    writer.abort()
    assert recover(tmp_path / "empty").messages == 0
    assert is_finished(tmp_path / "empty")


def test_what_is_no_mcap_file_is_refused(whole):
    bag_file(whole).write_bytes(b"not a bag at all")
    with pytest.raises(BagError, match="does not begin as an MCAP file"):
        recover(whole)


def test_command_recovers_a_run_and_says_what(tmp_path, whole, monkeypatch, capsys):
    shutil.copytree(whole, tmp_path / "second")
    (tmp_path / "second" / "trial-00.mcap").rename(tmp_path / "second" / "second.mcap")
    cut(whole, 0.8)
    monkeypatch.setattr(sys, "argv", ["recover", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "restored" in said and is_finished(whole)


def test_command_without_a_bag_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["recover", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1 and "no bag here" in " ".join(capsys.readouterr().out.split())
