"""The drawing shows the layers that run, with their shapes, and what each one reads."""

from xml.etree import ElementTree

import matplotlib.image as mpimg
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_jobtime import AnchoredRegressor, LSTMForecaster, SequenceWindower
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.lstm import NetworkOptions, ResidualForecaster
from sklearn_jobtime.plots import NetworkDisplay
from sklearn_jobtime.plots._network_trace import trace_network
from sklearn_jobtime.plots.network import layered

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 5, 3)), RNG.normal(size=(30, 2))

DENSE, SKIP = NetworkOptions(dense_units=8), NetworkOptions(skip_connection=True)


def fitted(forecaster=LSTMForecaster, **options):
    model = forecaster(hidden_size=4, max_epochs=1, device="cpu", random_state=0, **options)
    return model.fit(X, Y)


def n_parameters(model):
    return sum(weights.numel() for weights in model.net_.module_.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_layers": 2, "bidirectional": True, "dropout": 0.2},
        {"network_options": NetworkOptions(dense_units=[8, 6], skip_connection=True)},
        {"forecaster": ResidualForecaster, "n_members": 3},
        {"activation": "relu"},
    ],
)
def test_every_network_reads_well_and_counts_all_its_parameters(options, assert_readable):
    model = fitted(**options)
    display = NetworkDisplay.from_estimator(model)
    table = display.frame()
    assert table["parameters"].sum() == n_parameters(model)
    assert table["returns"].iloc[0] == "(n, 5, 3)"
    assert table["reads"].iloc[-1] == "(n, 2)"
    assert set(display.boxes_) == set(table["layer"])
    assert_readable(display.figure_)
    renderer = display.figure_.canvas.get_renderer()
    boxes = [b.get_bbox_patch().get_window_extent(renderer) for b in display.boxes_.values()]
    overlaps = [a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k]]
    assert not any(overlaps)


def test_it_shows_shapes_sizes_and_options_by_the_names_of_the_module():
    display = NetworkDisplay.from_estimator(
        fitted(network_options=NetworkOptions(dense_units=8), dropout=0.2)
    )
    text = {name: box.get_text().split("\n") for name, box in display.boxes_.items()}
    assert text["recurrent.lstm"] == [
        "recurrent.lstm",
        "LSTM, 144 parameters",
        "(n, 5, 3) → (n, 5, 4), 2 x (1, n, 4)",
    ]
    assert text["head.0"][1] == "Dropout(p=0.2)"
    assert text["head.1"][1:] == ["Linear, 40 parameters", "(n, 4) → (n, 8)"]
    assert display.ax_.get_title() == "LSTMNetwork: 202 parameters (n = rows)"


def test_a_skip_connection_is_a_line_of_its_own():
    lines = NetworkDisplay.from_estimator(fitted(network_options=SKIP)).lines_
    assert set(lines) == {
        ("input", "spatial_dropout"),
        ("spatial_dropout", "recurrent.lstm"),
        ("input", "head.0"),
        ("recurrent.lstm", "head.0"),
        ("head.0", "head.1"),
        ("head.1", "output"),
    }
    assert len(lines["input", "head.0"].get_path().vertices) > 2  # around the LSTM's box


def test_pictures_are_stored_as_png_and_well_formed_svg(tmp_path):
    figure = NetworkDisplay.from_estimator(fitted()).figure_
    for name in ("network.png", "network.svg"):
        figure.savefig(tmp_path / name)
    assert mpimg.imread(tmp_path / "network.png")[..., :3].min() < 0.5
    assert ElementTree.parse(tmp_path / "network.svg").getroot().tag.endswith("svg")


def test_the_network_is_found_in_pipelines_searches_and_anchored_regressors():
    lstm = LSTMForecaster(hidden_size=4, max_epochs=1, device="cpu", random_state=0)
    pipe = make_pipeline(SequenceWindower(n_steps=4), lstm)
    rows, y = RNG.uniform(1, 2, size=(40, 2)), RNG.uniform(1, 2, size=40)
    search = GridSearchCV(pipe, {"lstmforecaster__lr": [0.01]}, cv=2)
    anchored = AnchoredRegressor(pipe, RollingRule())
    for model in (lstm.fit(X, Y), pipe, search, anchored):
        given = X if model is lstm else rows
        if model is not lstm:
            model.fit(rows, y)
        display = NetworkDisplay.from_estimator(model, given)
        assert "LSTM" in set(display.frame()["kind"])
    assert NetworkDisplay.from_estimator(pipe).frame()["returns"][0] == "(n, 4, 2)"


def test_drawing_leaves_the_model_as_it_was():
    model = fitted(dropout=0.5)
    before = {name: value.clone() for name, value in model.net_.module_.state_dict().items()}
    training, forecast = model.net_.module_.training, model.predict(X)
    state = torch.get_rng_state()
    NetworkDisplay.from_estimator(model)
    module = model.net_.module_
    assert module.training == training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    np.testing.assert_array_equal(model.predict(X), forecast)
    assert torch.equal(torch.get_rng_state(), state)


class Tagger(nn.Module):
    """Events as codes beside numbers, sequences of unequal length: several inputs, packing."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.reader = Reader()
        self.head = nn.Linear(6, 3)

    def forward(self, codes, numbers, lengths):
        read = self.reader(torch.cat([self.embedding(codes), numbers], -1), lengths)
        return self.head(read)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 6, batch_first=True)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]


def test_several_inputs_integer_codes_and_packed_sequences():
    inputs = {
        "codes": torch.ones(5, 7, dtype=torch.long),
        "numbers": torch.zeros(5, 7, 2, dtype=torch.float64),
        "lengths": torch.full((5,), 7),
    }
    layers = {layer.name: layer for layer in trace_network(Tagger(), inputs)}
    assert list(layers) == ["input", "embedding", "reader", "head", "output"]
    assert layers["input"].returns == [("n", 7), ("n", 7, 2), ("n",)]
    assert set(layers["reader"].sources) == {"embedding", "input"}
    assert layers["reader"].returns == [("n", 7, 6)]
    assert layers["reader"].n_parameters == sum(w.numel() for w in Reader().parameters())
    assert layers["output"].returns == [("n", 7, 3)]


def test_a_layer_called_twice_is_one_box():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.Linear(3, 3)

        def forward(self, x):
            return self.step(self.step(x))

    layers = trace_network(Twice(), torch.zeros(1, 3))
    assert [layer.name for layer in layers] == ["input", "step", "output"]
    assert NetworkDisplay(layers).plot().lines_.keys() == {("input", "step"), ("step", "output")}


def test_a_cell_with_weights_of_its_own_is_one_box_whatever_it_calls():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.zeros(3, 3))
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(self.act(x @ self.weights))

    layers = trace_network(nn.Sequential(Cell(), nn.Linear(3, 2)), torch.zeros(1, 3))
    assert [layer.name for layer in layers] == ["input", "0", "1", "output"]
    assert [layer.n_parameters for layer in layers] == [0, 9, 8, 0]


def test_a_single_layer_is_drawn():
    layers = trace_network(nn.Linear(3, 2), torch.zeros(1, 3))
    assert [layer.kind for layer in layers] == ["input", "Linear", ""]


def test_errors_say_what_came_and_what_to_do():
    with torch.no_grad(), pytest.raises(ValueError, match=r"outside of torch.no_grad\(\)"):
        trace_network(nn.Linear(3, 2), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="LinearRegression holds no trained network"):
        NetworkDisplay.from_estimator(LinearRegression().fit([[1.0]], [1.0]))


def test_on_axes_of_ones_own_the_text_shrinks_to_fit(assert_readable):
    figure = Figure(figsize=(4, 3), layout="constrained")
    display = NetworkDisplay.from_estimator(fitted(network_options=DENSE), ax=figure.subplots())
    assert display.figure_ is figure
    assert {box.get_fontsize() < 9 for box in display.boxes_.values()} == {True}
    assert_readable(figure)


@st.composite
def graphs(draw):
    """Of each layer those that it reads: some of the earlier ones, at least one."""
    n = draw(st.integers(1, 9))
    names = [f"layer {k}" for k in range(n)]
    earlier = st.sets(st.integers(0, 8), min_size=1, max_size=3)
    return {
        name: sorted({names[i % k] for i in draw(earlier)}) if k else []
        for k, name in enumerate(names)
    }


@given(graphs())
@settings(max_examples=40, deadline=None)
def test_every_line_goes_down_row_by_row_and_nothing_is_lost(sources):
    rows, ways = layered(sources)
    row_of = {name: k for k, row in enumerate(rows) for name in row}
    assert set(row_of) >= set(sources)
    assert set(ways) == {(source, name) for name, before in sources.items() for source in before}
    for way in ways.values():
        steps = [row_of[name] for name in way]
        assert steps == list(range(steps[0], steps[-1] + 1))
        assert steps[-1] > steps[0]
    lanes = [name for row in rows for name in row if name not in sources]
    assert len(lanes) == len(set(lanes)) == sum(len(way) - 2 for way in ways.values())
