"""A file is whole or not there whatever happens to its writer, and no change is lost."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_jobtime._atomic import locked, replacing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


def write(path, text):
    with replacing(path) as new:
        new.write_text(text)


def python(code, *args, **options):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


HALF_WRITTEN = """
    import sys, time
    from sklearn_jobtime._atomic import replacing
    with replacing(sys.argv[1]) as new:
        new.write_text("half")
        print("writing", flush=True)
        time.sleep(600)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next_one_but_not_what_is_being_written(
    tmp_path,
):
    path = tmp_path / "model.joblib"
    write(path, "old")
    alive = python(HALF_WRITTEN, path)
    dead = python(HALF_WRITTEN, path)
    for process in (alive, dead):
        assert process.stdout.readline() == "writing\n"
    assert len(os.listdir(tmp_path)) == 3
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    assert path.read_text() == "old"
    write(tmp_path / "another.csv", "new")
    assert len(os.listdir(tmp_path)) == 3  # the model, the other file, and what is being written
    alive.kill()
    alive.communicate()
    write(path, "new")
    assert sorted(os.listdir(tmp_path)) == ["another.csv", "model.joblib"]
    assert path.read_text() == "new"


@given(name=st.text("ab.", min_size=1, max_size=200).filter(lambda name: name.strip(".")))
def test_any_name_that_the_file_system_takes_can_be_written(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("names") / name
    write(path, "whole")
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == [name]


def test_a_name_of_the_greatest_length_can_be_written(tmp_path):
    write(tmp_path / ("n" * 247 + ".parquet"), "whole")
    assert len(os.listdir(tmp_path)) == 1


def test_behind_a_link_its_file_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "there" / "runs.csv")
    write(link, "first")  # the link led nowhere
    write(link, "second")
    assert link.is_symlink()
    assert (tmp_path / "there" / "runs.csv").read_text() == "second"


def test_loops_folders_and_devices_are_refused(tmp_path):
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for path, reason in (
        (loop, "cannot be written"),
        (tmp_path, "is a folder"),
        (pipe, "a device or a pipe"),
        (os.devnull, "a device or a pipe"),
        (tmp_path / "none" / "a.csv", "no folder"),
    ):
        with pytest.raises(OSError, match=reason):
            write(path, "never")
    assert sorted(os.listdir(tmp_path)) == ["loop.csv", "pipe.csv"]


def test_the_mode_of_a_file_is_kept_and_a_new_one_follows_the_mask(tmp_path):
    path = tmp_path / "runs.csv"
    write(path, "new")
    plain = tmp_path / "plain.csv"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write(path, "newer")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("size", "mode", "reason"),
    [(1000, 0o777, "File too large"), (None, 0o555, "Permission denied")],
    ids=["no room", "read-only folder"],
)
def test_where_nothing_can_be_written_the_message_names_the_file_and_nothing_changes(
    size, mode, reason
):
    """A bound on the size of files stands in for a full disk: both are refused in one way."""
    code = """
        import os, resource, sys
        from sklearn_jobtime._atomic import replacing
        if os.getuid() == 0:  # who may write anywhere
            os.setuid(65534)
        if sys.argv[2] != "None":
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
        try:
            with replacing(sys.argv[1]) as new:
                new.write_text("x" * 100_000)
        except OSError as error:
            print(error)
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        path = folder / "model.joblib"
        write(path, "old")
        folder.chmod(mode)
        printed, _ = python(code, path, size).communicate()
        folder.chmod(0o755)
        assert printed == f"{path}: cannot be written ({reason}); nothing was changed.\n"
        assert path.read_text() == "old"
        assert os.listdir(folder) == ["model.joblib"]


COUNT = """
    import pathlib, sys
    from sklearn_jobtime._atomic import locked, replacing
    path = pathlib.Path(sys.argv[1])
    for _ in range(int(sys.argv[2])):
        with locked(path):
            number = int(path.read_text())
            with locked(path), replacing(path) as new:
                new.write_text(str(number + 1))
"""


def test_no_change_by_processes_or_threads_at_once_is_lost(tmp_path):
    path = tmp_path / "count.txt"
    path.write_text("0")
    processes = [python(COUNT, path, 40) for _ in range(3)]
    code = compile(textwrap.dedent(COUNT), "count", "exec")

    def count():
        exec(code, {"__name__": "count"})

    argv, sys.argv = sys.argv, ["count", str(path), "40"]
    try:
        threads = [threading.Thread(target=count) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.argv = argv
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert path.read_text() == "240"
    assert os.listdir(tmp_path) == ["count.txt"]


def test_who_waits_too_long_for_another_process_is_told_so(tmp_path):
    path = tmp_path / "model.joblib"
    path.touch()
    holder = python(
        """
        import sys, time
        from sklearn_jobtime._atomic import locked
        with locked(sys.argv[1]):
            print("held", flush=True)
            time.sleep(600)
        """,
        path,
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(OSError, match="by another process"), locked(path, patience=0):
        pass
    holder.kill()
    holder.communicate()
    with locked(path, patience=30):
        pass
