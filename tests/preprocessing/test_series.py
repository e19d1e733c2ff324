"""The columns of a series name it, whatever else a table holds, and nobody who was not there."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime import SequenceWindower, SeriesEncoder
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs import make_targets

keys = st.lists(st.integers(0, 60), min_size=1, max_size=80)


def table_of(series):
    index = pd.MultiIndex.from_arrays([[f"s{k}" for k in series], range(len(series))])
    return pd.DataFrame({"build": np.arange(len(series), dtype=float)}, index=index)


def codes_of(encoder, runs):
    return encoder.transform(runs).iloc[:, 1:].to_numpy()


@settings(deadline=None, max_examples=40)
@given(seen=keys, new=keys, most=st.sampled_from([1, 3, 32]))
def test_rows_of_a_series_are_alike_and_apart_from_others(seen, new, most):
    encoder = SeriesEncoder(most).fit(table_of(seen))
    codes = codes_of(encoder, table_of(new))
    n = len(set(seen))
    assert codes.shape[1] == (0 if n == 1 else n if n <= most else 32)
    if n == 1:
        return
    for i, key in enumerate(new):
        assert (codes[i] == 0).all() == (key not in seen)
        for j, other in enumerate(new[:i]):
            if key in seen and other in seen:
                assert (codes[i] == codes[j]).all() == (key == other)


def test_outcomes_and_the_order_of_rows_have_no_part_in_a_code():
    runs = table_of(list(range(40)) * 2)
    codes = codes_of(SeriesEncoder().fit(runs), runs)
    other = runs.assign(build=7.0).iloc[::-1]
    np.testing.assert_array_equal(codes_of(SeriesEncoder().fit(other), runs), codes)
    copy = pickle.loads(pickle.dumps(SeriesEncoder().fit(runs)))
    np.testing.assert_array_equal(codes_of(copy, runs.iloc[[5]]), codes[[5]])


def test_the_windower_takes_it_as_known_at_the_start():
    runs = table_of([0, 1, 0, 1])
    encoded = SeriesEncoder().fit_transform(runs)
    windower = SequenceWindower(n_steps=2).fit(encoded)
    assert windower.transform(encoded)[0, -1, 1:].tolist() == [1.0, 0.0]


def test_a_table_with_such_a_column_is_named():
    runs = table_of([0, 1]).assign(started_at__series_0=1.0)
    with pytest.raises(RunTableError, match="already has a column 'started_at__series_0'"):
        SeriesEncoder().fit(runs)


def test_the_recipe_takes_it_and_forecasts_series_that_it_has_not_seen():
    runs = make_job_runs(n_runs=40, n_jobs=1, n_series=2, random_state=0)
    model = make_anchored_forecaster(series_identity=True, device="cpu", random_state=0)
    model.set_params(regressor__mean__lstm__network__max_epochs=1).fit(runs, make_targets(runs))
    assert len(model.regressor_["series"].codes_) == 2
    new = runs.loc[[runs.index[0][0]]].rename({runs.index[0][0]: "new"}, level=0)
    assert np.isfinite(model.predict(new)).all()
