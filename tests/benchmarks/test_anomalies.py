"""The benchmark of the detector measures what it says, at a size of seconds."""

import importlib.util
import sys
from pathlib import Path

import pandas as pd

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_both_ways_are_found_beside_the_rules_of_thumb(monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("anomalies", BENCHMARKS / "anomalies.py")
    anomalies = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anomalies)
    stored = tmp_path / "anomalies.csv"
    table = anomalies.main(["--seeds", "2", "--runs", "600", "--out", str(stored)])
    sys.modules.pop("real_series", None)
    shares = table.loc["simulated"]
    assert shares.index.tolist() == ["detector", "three sigma", "2x or half the mean"]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    found = shares[["found x2", "found x0.4"]].loc["detector"]
    assert (found > 0.8).all()
    assert shares.loc["detector", "false alarms"] < 0.05
    assert len(pd.read_csv(stored)) == len(table)
    assert "asked: at most 1%" in capsys.readouterr().out
