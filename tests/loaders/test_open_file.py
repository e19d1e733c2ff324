"""Files open whole or fail with the place: damaged gzip, bombs, other encodings, nothing there."""

import bz2
import gzip
import lzma
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._open_file import find_files, open_bytes, open_text


def written(folder, data, *, zipped=False):
    path = folder / "history.txt"
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


@pytest.mark.parametrize("zipped", [False, True])
@settings(max_examples=30, deadline=None)
@given(text=st.text(min_size=1, max_size=400))
def test_any_text_comes_back(text, zipped, tmp_path_factory):
    text = text.removeprefix("\ufeff") + "."
    path = written(tmp_path_factory.mktemp("any"), text.encode(), zipped=zipped)
    with open_text(path) as lines:
        assert lines.read() == text.replace("\r\n", "\n").replace("\r", "\n")
    with open_bytes(path) as stream:
        assert stream.read() == text.encode()


def test_a_byte_order_mark_is_skipped(tmp_path):
    with open_text(written(tmp_path, b"\xef\xbb\xbfJobID")) as lines:
        assert lines.read() == "JobID"


@pytest.mark.parametrize("zipped", [False, True])
@settings(max_examples=30, deadline=None)
@given(lines=st.lists(st.text(alphabet="aé\u20ac\U0001f600", max_size=60), max_size=9))
def test_bytes_that_are_no_utf8_are_named_by_line_and_byte(lines, zipped, tmp_path_factory):
    before = "".join(f"{line}\n" for line in lines).encode()
    # Long enough that the bad byte lies in a later chunk than the first.
    before = b"x" * 300_000 + b"\n" + before
    path = written(tmp_path_factory.mktemp("latin"), before + b"r\xe9seau\n", zipped=zipped)
    place = f"line {len(lines) + 2}, byte {len(before) + 1}: 0xe9 is not UTF-8"
    with pytest.raises(SourceError, match=place), open_text(path) as stream:
        stream.read()


def test_a_character_cut_off_at_the_end_is_named(tmp_path):
    path = written(tmp_path, "ab\n\u20ac".encode()[:-1])
    named = r"line 2, byte 3: 0xe2 is not UTF-8"
    with pytest.raises(SourceError, match=named), open_text(path) as stream:
        stream.read()


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_gzip_file_is_named(tmp_path, keep):
    whole = gzip.compress(bytes(range(256)) * 4000)
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[: int(keep * len(whole))])
    named = r"cut\.gz: the gzip data is cut off or damaged after \d+ uncompressed bytes"
    with pytest.raises(SourceError, match=named), open_bytes(path) as stream:
        stream.read()


def test_a_damaged_gzip_file_is_named(tmp_path):
    whole = bytearray(gzip.compress(b"some lines of a log\n" * 5000))
    whole[len(whole) // 2] ^= 0xFF
    path = tmp_path / "damaged.gz"
    path.write_bytes(bytes(whole))
    with pytest.raises(SourceError, match="cut off or damaged"), open_text(path) as stream:
        stream.read()


def test_a_gzip_bomb_is_refused_while_reading(tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as bomb:
        for _ in range(64):
            bomb.write(bytes(1 << 20))
    chunks = []
    with (
        open_bytes(path, max_bytes=1 << 20) as stream,
        pytest.raises(SourceError, match="more than max_bytes=1048576"),
    ):
        chunks.extend(iter(lambda: stream.read(1 << 16), b""))
    assert 0 < sum(map(len, chunks)) <= 1 << 20
    with open_bytes(path, max_bytes=64 << 20) as stream:
        assert sum(len(chunk) for chunk in iter(lambda: stream.read(1 << 20), b"")) == 64 << 20


def test_what_is_not_there_or_holds_nothing_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"none\.txt: cannot be opened \(No such file"):
        open_text(tmp_path / "none.txt")
    with pytest.raises(SourceError, match="Is a directory"):
        open_bytes(tmp_path)
    for zipped in (False, True):
        with pytest.raises(SourceError, match=r"history\.txt: is empty"):
            open_bytes(written(tmp_path, b"", zipped=zipped))


def test_folders_and_patterns_are_sorted_and_never_silently_empty(tmp_path):
    for name in ("b.json", "a.json.gz", "deep/c.json", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    names = [p.name for p in find_files(tmp_path, [".json"])]
    assert names == ["a.json.gz", "b.json", "c.json"]
    assert [p.name for p in find_files(f"{tmp_path}/*.json", [".json"])] == ["b.json"]
    assert find_files(tmp_path / "notes.txt", [".json"]) == [tmp_path / "notes.txt"]
    with pytest.raises(SourceError, match=r"no file in this folder ends in \.csv, \.csv\.gz"):
        find_files(tmp_path, [".csv"])
    with pytest.raises(SourceError, match="matches no file"):
        find_files(f"{tmp_path}/*.csv", [".csv"])


TEXT = "task,start\nlöad,2026-03-01\n"


def zipped_as(path, *members, content=b"a,b\n1,2\n"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, "zip"])
def test_encodings_and_containers_are_told_by_the_content(tmp_path, encoding, pack):
    data = ("x,y\n" * 20 + TEXT).encode(encoding)
    path = tmp_path / "any name"
    if pack == "zip":
        zipped_as(path, "folder/", "folder/log.csv", "__MACOSX/._log.csv", content=data)
    else:
        path.write_bytes(pack(data))
    with open_text(path) as lines:
        assert lines.read() == "x,y\n" * 20 + TEXT
    with open_bytes(path) as stream:
        assert stream.read() == data
    with pytest.raises(SourceError, match="more than max_bytes=50"), open_text(path, max_bytes=50):
        pass


def test_big_endian_with_its_mark_and_containers_in_containers(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"\xfe\xff" + TEXT.encode("utf-16-be"))
    with open_text(path) as lines:
        assert lines.read() == TEXT
    zipped_as(path, "log.csv.gz", content=gzip.compress(TEXT.encode()))
    with open_text(path) as lines:
        assert lines.read() == TEXT


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_other_containers_that_are_cut_off_are_named(tmp_path, compress):
    path = tmp_path / "log"
    path.write_bytes(compress(b"some lines of a log\n" * 4000)[:-30])
    with pytest.raises(SourceError, match="data is cut off or damaged"), open_text(path) as lines:
        lines.read()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x28\xb5\x2f\xfd....", "is a zstd file; unpack it"),
        (b"<!DOCTYPE html><html>", "is a page of HTML"),
        (b"\n <html lang='en'>", "is a page of HTML"),
        (b"PAR1....", "is a Parquet file; give it a name"),
        (b"SQLite format 3\0....", "is a SQLite database; read it as sqlite:///"),
        (b"%PDF-1.7", "is a PDF"),
        (b"PK\x03\x04broken", "the zip data is cut off or damaged"),
        (b"x" * 257 + b"ustar", "is a tar archive"),
        (b"a\0\0\0b" * 20, "holds zero bytes, so it is no text"),
        ("r\xe9seau".encode("latin-1"), "may be Latin-1 or Windows-1252"),
        ("a,b\n".encode("utf-16") + b"\x00\xd8\x00\xd8", "is not UTF-16"),
    ],
)
def test_a_refusal_names_the_true_cause(tmp_path, content, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught, open_text(path) as lines:
        lines.read()
    assert str(path) in str(caught.value)


def test_a_zip_of_several_files_lists_them(tmp_path):
    with pytest.raises(SourceError, match=r"a zip archive of 2 files \(a\.csv, b\.csv\); unpack"):
        open_text(zipped_as(tmp_path / "log.csv", "a.csv", "b.csv"))
    with pytest.raises(SourceError, match="an Excel workbook of Office; save the table as CSV"):
        open_text(zipped_as(tmp_path / "x.csv", "[Content_Types].xml", "xl/workbook.xml"))
    with pytest.raises(SourceError, match="a zip archive of 0 files"):
        open_text(zipped_as(tmp_path / "y.csv", "folder/"))
