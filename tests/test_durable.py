"""The door to the disk: what it publishes is there whole or not at all, whatever fails and whenever the power goes."""

import errno
import json
import os
import random
import signal
import time

import pytest
from runs import fork, leftovers, wait

from limner import durable
from limner.errors import BadCheckpoint, DiskError, RunLocked

ERRNOS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE]


def contents(text: str) -> dict:
    return {"a.bin": lambda: (text * 100).encode(), "b.json": lambda: json.dumps({"text": text}).encode()}


def publish(target, text="new"):
    durable.publish_folder(target, contents(text), about={"format": 1})


def holds(target) -> str:
    """What a published folder holds, after checking it."""
    durable.verify(target)
    return json.loads((target / "b.json").read_bytes())["text"]


def every_operation(monkeypatch, work):
    """Do `work` once for each of its disk operations, which fails that time; yields the number of the operation."""
    for number in range(1, 1000):
        count = iter(range(1, 10_000))

        def operate(name, path, number=number, count=count):
            if next(count) == number:
                raise OSError(errno.EIO, "injected")

        monkeypatch.setattr(durable, "_operate", operate)
        try:
            work(number)
        except DiskError:
            failed = True
        else:
            failed = next(count) > number
        monkeypatch.setattr(durable, "_operate", lambda name, path: None)
        if not failed:
            return
        yield number


# --- files and folders ------------------------------------------------------------------------------------------------


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "x"
    for text in (b"one", b"", b"two" * 1000):
        durable.write_file(path, text)
        assert path.read_bytes() == text and os.listdir(tmp_path) == ["x"]


def test_a_folder_is_published_and_replaced(tmp_path):
    target = tmp_path / "runs" / "model"
    for text in ("one", "two"):
        publish(target, text)
        assert holds(target) == text and os.listdir(target.parent) == ["model"]
    assert durable.read_manifest(target)["format"] == 1


def test_a_removed_folder_is_gone(tmp_path):
    publish(tmp_path / "x")
    durable.remove_folder(tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_a_file_stays_old_or_becomes_new_when_any_operation_fails(tmp_path, monkeypatch):
    path, numbers = tmp_path / "x", 0
    for _ in every_operation(monkeypatch, lambda number: durable.write_file(path, b"new")):
        assert not path.exists() or path.read_bytes() == b"new"
        assert [left for left in os.listdir(tmp_path) if left != "x"] == []
        path.unlink(missing_ok=True)
        numbers += 1
    assert numbers == 4  # write, sync, rename, sync of the folder


def test_a_folder_stays_old_or_becomes_new_when_any_operation_fails(tmp_path, monkeypatch):
    """The rename of the new folder once failed after the old one had been moved away, and both were gone."""
    target, numbers = tmp_path / "x", 0

    def replace(number):
        publish(target, f"new {number}")

    publish(target, "new 0")
    for number in every_operation(monkeypatch, replace):
        assert holds(target) in (f"new {number}", f"new {number - 1}", "old")
        publish(target, "old")  # what a failed replacement left behind is not in the way of the next
        assert holds(target) == "old"
        numbers += 1
    assert numbers > 10
    durable.sweep(tmp_path)
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
def test_what_the_system_says_becomes_an_error_that_names_the_path_and_the_way_out(tmp_path, monkeypatch, number):
    def operate(name, path):
        raise OSError(number, "injected")

    monkeypatch.setattr(durable, "_operate", operate)
    full = number in (errno.ENOSPC, errno.EDQUOT)
    for work in (publish, lambda path: durable.write_file(path, b"")):
        with pytest.raises(DiskError, match="free some space" if full else "choose a folder") as caught:
            work(tmp_path / "x")
        assert str(tmp_path / "x") in str(caught.value) and caught.value.errno == number


def test_folders_are_made_with_those_above_them(tmp_path):
    durable.make_folder(tmp_path / "a" / "b" / "c")
    durable.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "c").is_dir()


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path, kind):
    path = tmp_path / "x"
    path.write_bytes(b"") if kind == "file" else path.symlink_to(tmp_path / "nowhere")
    for folder in (path, path / "y"):
        with pytest.raises(DiskError, match="cannot write"):
            durable.make_folder(folder)


# --- what survives a power cut ----------------------------------------------------------------------------------------


@pytest.fixture
def trace(monkeypatch):
    """What the operating system was really asked for, in order: ("sync" or "rename", path)."""
    calls = []
    sync, rename, replace = os.fsync, os.rename, os.replace

    def fsync(descriptor):
        calls.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def renaming(real):
        def call(source, target):
            calls.append(("rename", str(target)))
            real(source, target)

        return call

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", renaming(rename))
    monkeypatch.setattr(os, "replace", renaming(replace))
    return calls


def test_a_file_is_synced_before_it_is_renamed_and_its_folder_after(tmp_path, trace):
    durable.write_file(tmp_path / "x", b"data")
    (first, temporary), second, third = trace
    assert first == "sync" and temporary.startswith(str(tmp_path / ".tmp-"))
    assert (second, third) == (("rename", str(tmp_path / "x")), ("sync", str(tmp_path)))


def test_a_folder_is_synced_with_all_it_holds_before_it_is_renamed(tmp_path, trace):
    publish(tmp_path / "runs" / "x")
    renamed = trace.index(("rename", str(tmp_path / "runs" / "x")))
    before, after = trace[:renamed], trace[renamed + 1 :]
    assert before[0] == ("sync", str(tmp_path))  # the entry of the new folder `runs`
    synced = [os.path.basename(path) for what, path in before[1:] if what == "sync"]
    assert sorted(synced[:3]) == ["a.bin", "b.json", "manifest.json"] and synced[3].startswith(".tmp-")
    assert after[0] == ("sync", str(tmp_path / "runs"))


def test_the_old_folder_is_removed_only_once_the_new_one_is_sure(tmp_path, trace, monkeypatch):
    publish(tmp_path / "x", "old")
    trace.clear()
    monkeypatch.setattr(durable.shutil, "rmtree", lambda path, **_: trace.append(("remove", str(path))))
    publish(tmp_path / "x")
    assert trace[-2:] == [("sync", str(tmp_path)), ("remove", str(tmp_path / ".old-x"))]


# --- leftovers --------------------------------------------------------------------------------------------------------


def test_sweeping_removes_leftovers_and_nothing_else(tmp_path):
    publish(tmp_path / "x", "kept")
    for name in (".tmp-17-y", ".trash-17-y", ".old-x"):
        publish(tmp_path / name)
    (tmp_path / ".tmp-17-config.json").write_bytes(b"half")
    (tmp_path / ".hidden-file").write_bytes(b"mine")
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "x")
    durable.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden-file", "x"] and holds(tmp_path / "x") == "kept"


def test_sweeping_puts_back_what_stood_aside_for_a_replacement_that_never_came(tmp_path):
    publish(tmp_path / ".old-x", "old")
    publish(tmp_path / ".tmp-17-x", "new")
    durable.sweep(tmp_path)
    assert os.listdir(tmp_path) == ["x"] and holds(tmp_path / "x") == "old"


@pytest.mark.parametrize("torn", [False, True], ids=["before", "half-written"])
def test_a_crash_at_any_operation_leaves_the_old_or_the_new(tmp_path, torn):
    """Also a crash while the leftovers of another crash are swept up."""
    numbers = 0
    while numbers < 100:
        target = tmp_path / str(numbers) / "x"
        publish(target, "old")
        ended = wait(fork(crashing_at(numbers + 1, torn, lambda target=target: publish(target, "new"))))
        wait(fork(crashing_at(1, False, lambda target=target: durable.sweep(target.parent))))
        durable.sweep(target.parent)
        assert holds(target) in ("old", "new") and leftovers(target.parent) == []
        if ended == 0:
            assert holds(target) == "new"
            break
        numbers += 1
    assert 10 < numbers < 100


def crashing_at(number, torn, work):
    """The work, ending the process at its operation `number`; torn: with the file being synced cut in half."""

    def crash():
        count = iter(range(1, 10_000))

        def operate(name, path):
            if next(count) == number:
                if torn and name == "fsync" and path.is_file():
                    os.truncate(path, path.stat().st_size // 2)
                os._exit(9)

        durable._operate = operate
        work()

    return crash


# --- damage -----------------------------------------------------------------------------------------------------------


def test_any_change_to_a_published_folder_is_found(tmp_path):
    publish(tmp_path / "x")
    files = {path: path.read_bytes() for path in sorted((tmp_path / "x").iterdir())}
    random_ = random.Random(0)
    for _ in range(300):
        path, data = random_.choice(list(files.items()))
        place = random_.randrange(len(data))
        changed = random_.choice(
            [
                data[:place] + bytes([data[place] ^ 1 << random_.randrange(8)]) + data[place + 1 :],
                data[:place],
                data + b" ",
                data[:place] + b" " + data[place:],
            ]
        )
        path.write_bytes(changed)
        with pytest.raises(BadCheckpoint, match=path.name):
            durable.verify(tmp_path / "x")
        path.write_bytes(data)
    assert holds(tmp_path / "x") == "new"


@pytest.mark.parametrize("change", ["missing", "extra", "folder", "no manifest", "no folder"])
def test_what_is_missing_or_too_much_is_named(tmp_path, change):
    target = tmp_path / "x"
    publish(target)
    match change:
        case "missing":
            (target / "a.bin").unlink()
        case "extra":
            (target / "evil.py").write_bytes(b"")
        case "folder":
            (target / "a.bin").unlink()
            (target / "a.bin").mkdir()
        case "no manifest":
            (target / "manifest.json").unlink()
        case _:
            target = tmp_path / "y"
    with pytest.raises(BadCheckpoint, match="missing|not in the manifest|bytes|cannot be read"):
        durable.verify(target)


@pytest.mark.parametrize(
    "manifest",
    [[], {}, {"files": None}, {"files": {"a.bin": {}}}, {"files": [1]}, {"files": {"a.bin": 3}}, "text", 3, None],
)
def test_a_manifest_that_signs_nonsense_is_refused(tmp_path, manifest):
    """Its checksum is no secret: anyone can sign anything."""
    publish(tmp_path / "x")
    (tmp_path / "x" / "b.json").unlink()
    signed = durable._signed(manifest) if isinstance(manifest, dict) else json.dumps(manifest).encode()
    (tmp_path / "x" / "manifest.json").write_bytes(signed)
    with pytest.raises(BadCheckpoint, match=r"manifest\.json|missing|not in the manifest"):
        durable.verify(tmp_path / "x")


@pytest.mark.parametrize("text", [b"[" * 100_000, b"9" * 5000, b"\xff", b'{"a": "\\ud800"}', b""])
def test_a_manifest_that_is_not_json_is_refused(tmp_path, text):
    publish(tmp_path / "x")
    (tmp_path / "x" / "manifest.json").write_bytes(text)
    with pytest.raises(BadCheckpoint, match="does not match its own checksum"):
        durable.verify(tmp_path / "x")


# --- locks ------------------------------------------------------------------------------------------------------------


def test_one_holder_at_a_time_and_the_other_is_told_who(tmp_path):
    with durable.lock(tmp_path / ".lock", "process 17"):
        with pytest.raises(RunLocked, match="process 17"), durable.lock(tmp_path / ".lock", "process 18"):
            pass
    with durable.lock(tmp_path / ".lock", "process 18"):
        pass


def test_a_lock_is_free_as_soon_as_its_holder_is_killed_even_when_a_child_of_it_lives_on(tmp_path):
    """Data workers outlive a killed trainer by seconds, and once kept its lock for as long."""
    ready, tell = os.pipe()

    def hold():
        with durable.lock(tmp_path / ".lock", "the dead"):
            worker = fork(lambda: time.sleep(20))
            os.write(tell, worker.to_bytes(4, "big"))
            time.sleep(20)

    holder = fork(hold)
    worker = int.from_bytes(os.read(ready, 4), "big")
    try:
        os.kill(holder, signal.SIGKILL)
        assert wait(holder) == -signal.SIGKILL
        start = time.perf_counter()
        with durable.lock(tmp_path / ".lock", "the next"):
            assert time.perf_counter() - start < 1
    finally:
        os.kill(worker, signal.SIGKILL)


def test_an_error_under_the_lock_is_not_taken_for_one_of_the_lock(tmp_path):
    """A broken pipe in the middle of training was once reported as a lock file that could not be written."""
    with pytest.raises(BrokenPipeError), durable.lock(tmp_path / ".lock", "me"):
        raise BrokenPipeError(errno.EPIPE, "stdout was closed")


def test_a_lock_that_cannot_be_made_is_a_disk_error(tmp_path):
    with pytest.raises(DiskError), durable.lock(tmp_path / "nowhere" / ".lock", "me"):
        pass


def test_parts_that_fail_half_way_leave_what_was_there(tmp_path):
    file = tmp_path / "picture.png"
    durable.write_file(file, iter([b"one", b"two"]))
    assert file.read_bytes() == b"onetwo"

    def parts():
        yield b"three"
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        durable.write_file(file, parts())
    assert file.read_bytes() == b"onetwo" and list(tmp_path.iterdir()) == [file]
