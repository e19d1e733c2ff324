"""The loading benchmark measures what it says, at a size of seconds."""

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_source_gives_all_runs(capsys):
    pytest.importorskip("sqlalchemy", reason="needs the extra sklearn-jobtime[sql]")
    path = Path(__file__).parents[2] / "benchmarks" / "loading.py"
    spec = importlib.util.spec_from_file_location("loading", path)
    loading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loading)
    table = loading.main(["--rows", "5000"])
    assert table["source"].tolist() == ["log.parquet", "log.csv", "sqlite"]
    assert (table["runs"] == 5000 // loading.JOBS).all()
    assert (table["rows_a_second"] > 0).all()
    assert (table["peak_GB"] > 0).all()
    printed = capsys.readouterr().out
    assert "rows_a_second" in printed
    assert "relative to import pandas alone: " in printed
