"""What is known at the start is told by the roles of the columns, not by how their names begin."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime import CovariateEncoder, FailureImputer, SequenceWindower
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.runs import job_columns


def known_channels(columns, known):
    table = pd.DataFrame(np.arange(3.0)[:, None] + np.zeros(len(columns)), columns=columns)
    windower = SequenceWindower(2, known=known).fit(table)
    newest = windower.transform(table)[2, -1]  # 2 is the row's own value, 1 that of the run before
    return [c for c, v in zip(windower.get_feature_names_out(), newest, strict=True) if v == 2]


@pytest.mark.parametrize(
    ("columns", "known", "expected"),
    [
        (["deploy", "deploy__eu", "deploy__eu__failed"], ["deploy"], ["deploy"]),
        (["deploy__True", "deploy__eu", "deploy__eu__failed"], ["deploy"], ["deploy__True"]),
        (["deploy", "deploy__eu"], ["deploy"], ["deploy"]),
        (["event__push", "event__pull"], ["event"], ["event__push", "event__pull"]),
        (
            ["build", "build__failed", "build__x", "build__x__failed"],
            ["build"],
            ["build", "build__failed"],
        ),
        (
            ["started_at__hour", "started_at__eu", "started_at__eu__failed", "a"],
            ["a"],
            ["started_at__hour", "a"],
        ),
    ],
)
def test_a_job_is_never_known_by_the_beginning_of_its_name(columns, known, expected):
    assert known_channels(columns, known) == expected


def test_a_covariate_that_would_be_mixed_with_another_column_is_named():
    table = pd.DataFrame({"deploy": ["yes", "no"], "deploy__eu": [1.0, 2.0]})
    with pytest.raises(RunTableError, match=r"'deploy__eu' begins like .* 'deploy' gives"):
        CovariateEncoder(["deploy"]).fit(table)
    marked = FailureImputer(jobs=["deploy__eu"]).fit_transform(table)
    assert "deploy__eu" in CovariateEncoder(["deploy"]).fit_transform(marked)


def test_a_job_that_is_named_as_the_status_of_another_is_an_error_of_both():
    table = pd.DataFrame({"a": [1.0], "a__status": [2.0], "a__status__status": ["success"]})
    with pytest.raises(RunTableError, match=r"'a__status' is a job, .* status of the job 'a'"):
        job_columns(table)
