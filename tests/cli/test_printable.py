"""What a damaged source holds is shown in the shell, never obeyed, and never a traceback."""

import json

import pytest
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app

NIGHT = {"started_at": "2026-03-01T04:00:00Z", "ended_at": "2026-03-01T04:01:00Z"}
RED = "\x1b[31mred\x07"


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ({"run": 1, "job": RED, "status": "success"}, 0, ""),
        ({"run": 1, "series": RED, "job": "a", "status": "success"}, 0, ""),
        ({"run": 1, "job": "a", "status": RED}, 1, r"\x1b[31mred\x07"),
        ({"run": 1, "job": {RED: 1}, "status": "success"}, 1, "holds objects"),
        ({"run": 1, "job": "\ud800", "status": "success"}, 1, "half of a character"),
        ({"run": 1, "job": "a", "status": "success", "\ud800": 1}, 1, r"'\ud800' holds half"),
        ({"run": 1.5, "job": "a", "status": "success"}, 1, "no whole number"),
        ({"run": 1, "job": "a", "status": "success", "started_at": 1e23}, 1, "1e+23 is"),
    ],
)
def test_nothing_that_a_terminal_obeys_reaches_it(tmp_path, row, code, said):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({**NIGHT, **row}))
    result = CliRunner().invoke(app, ["load", str(path)])
    assert result.exit_code == code, result.output
    assert said in result.output
    assert "Traceback" not in result.output
    assert all(c.isprintable() or c == "\n" for c in result.output)
    if code:
        assert result.output.startswith("error: ")
