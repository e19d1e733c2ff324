"""Remedies are worded for the door through which the user came."""

import pytest

from sklearn_jobtime.cli.shell_words import in_shell_words


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        (
            "name yours, for example columns={'run': 'build_no', 'ended_at': 'done at'}.",
            "name yours, for example --column run=build_no --column 'ended_at=done at'.",
        ),
        (
            "say which with columns={'duration_s': 'd'} or {'duration_ms': 'd'} (in a shell: "
            "--column duration_s=d).",
            "say which with --column duration_s=d.",
        ),
        (
            "map each, as with states={'x y': 'success'} (in a shell: --state 'x y'=success), to "
            "one",
            "map each, as with --state 'x y'=success, to one",
        ),
        ("name them with jobs=[...].", "name them with --jobs."),
        ("jobs=['a', 'b c']; or", "--jobs 'a,b c'; or"),
        ("pass top_jobs=100, say", "pass --top-jobs 100, say"),
        ("pass on_duplicate='last' to keep", "pass --on-duplicate last to keep"),
        (
            "or pass on_unknown='warn' (--on-unknown warn) to leave",
            "or add --on-unknown warn to leave",
        ),
        ("name the series with by=(...)", "name the series with --series-by"),
        ("take a larger test_size or", "take a larger --test-size or"),
        ("a lower contamination", "a lower --false-alarms"),
        ("with the option timezone, such as", "with --input-timezone, such as"),
        ("nothing to say", "nothing to say"),
    ],
)
def test_a_remedy_of_python_is_an_option_of_the_shell(python, shell):
    assert in_shell_words(python) == shell
