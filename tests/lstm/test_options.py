"""Every option that people tune is reachable by a grid search and changes what it should."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.lstm import LSTMNetwork, NetworkOptions, RecurrentLayers
from sklearn_jobtime.lstm.losses import LOSSES
from sklearn_jobtime.lstm.network import ACTIVATIONS
from sklearn_jobtime.lstm.training import OPTIMIZERS
from sklearn_jobtime.lstm.weights import INITIAL_WEIGHTS, draw_weights


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 4, 3)), rng.normal(size=30)


def lstm(fitted):
    return fitted.net_.module_.recurrent


def group(fitted):
    return fitted.net_.optimizer_.param_groups[0]


OPTION = "network_options__"


def head(fitted, k):
    return fitted.net_.module_.head[k]


# What a parameter should have done to the fitted model, as a function of it.
EFFECTS = {
    "hidden_size": ([3, 5], lambda m: lstm(m).lstm.hidden_size),
    "n_layers": ([1, 2], lambda m: lstm(m).lstm.num_layers),
    "dropout": ([0.1, 0.3], lambda m: m.net_.module_.head[0].p),
    OPTION + "recurrent_dropout": ([0.1, 0.3], lambda m: lstm(m).recurrent_dropout),
    OPTION + "spatial_dropout": (
        [0.1, 0.3],
        lambda m: m.net_.module_.spatial_dropout.share,
    ),
    "bidirectional": ([False, True], lambda m: lstm(m).lstm.bidirectional),
    "activation": (["relu", "softsign"], lambda m: lstm(m).activation),
    OPTION + "dense_units": ([2, 4], lambda m: m.net_.module_.head[1].out_features),
    OPTION + "dense_activation": (
        ["selu", "tanh"],
        lambda m: type(m.net_.module_.head[2]).__name__.lower(),
    ),
    OPTION + "weight_init": (
        ["he_normal", "uniform"],
        lambda m: m.net_.module__weight_init,
    ),
    OPTION + "recurrent_init": (
        ["orthogonal", "normal"],
        lambda m: m.net_.module__recurrent_init,
    ),
    OPTION + "forget_bias": ([0.0, 1.0], lambda m: m.net_.module__forget_bias),
    "optimizer": (["nadam", "sgd"], lambda m: type(m.net_.optimizer_).__name__.lower()),
    "lr": ([0.01, 0.1], lambda m: group(m)["lr"]),
    "weight_decay": ([0.0, 0.1], lambda m: group(m)["weight_decay"]),
    "criterion": (["mse", "huber"], lambda m: NAMES[type(m.net_.criterion_.loss)]),
    "batch_size": ([7, 15], lambda m: m.net_.batch_size),
    "max_epochs": ([1, 3], lambda m: len(m.training_history_)),
}
NAMES = {loss: name for name, loss in LOSSES.items()}


@pytest.mark.parametrize("name", EFFECTS)
def test_a_grid_search_reaches_it_and_the_module_has_it(name, data):
    values, effect = EFFECTS[name]
    fixed = {"max_epochs": 2, "early_stopping": False, "device": "cpu", "random_state": 0}
    model = LSTMForecaster(4, network_options=NetworkOptions(dense_units=3), **fixed)
    search = GridSearchCV(model, {name: values}, cv=TimeSeriesSplit(2), error_score="raise")
    search.fit(*data)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert search.param_grid[name][search.best_index_] == effect(search.best_estimator_)
    for value in values:
        assert effect(model.set_params(**{name: value}).fit(*data)) == value
    assert scores[0] != scores[1]


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_momentum_reaches_the_optimizer_in_a_grid(optimizer, data):
    model = LSTMForecaster(4, max_epochs=2, device="cpu", random_state=0, optimizer=optimizer)
    search = GridSearchCV(model, {"momentum": [0.5, 0.9]}, cv=TimeSeriesSplit(2)).fit(*data)
    assert group(search.best_estimator_)["momentum"] == search.best_params_["momentum"]
    assert len(set(search.cv_results_["mean_test_score"])) == 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains(name, data):
    model = LSTMForecaster(4, optimizer=name, max_epochs=3, device="cpu", random_state=0)
    assert type(model.fit(*data).net_.optimizer_) is OPTIMIZERS[name]
    losses = model.training_history_["train_loss"]
    assert losses.iloc[-1] < losses.iloc[0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_trains_in_cells_and_dense_layers(name, data):
    options = {"max_epochs": 3, "device": "cpu", "random_state": 0}
    layers = NetworkOptions(dense_units=3, dense_activation=name)
    model = LSTMForecaster(4, activation=name, network_options=layers, **options).fit(*data)
    assert type(model.net_.module_.head[2]) is ACTIVATIONS[name]
    assert type(lstm(model).act) is ACTIVATIONS[name]
    plain = LSTMForecaster(4, **options).fit(*data)
    assert np.isfinite(model.predict(data[0])).all()
    assert not np.array_equal(model.predict(data[0]), plain.predict(data[0]))


def test_spatial_dropout_hides_whole_features_over_all_steps():
    network = LSTMNetwork(400, 1, 1, spatial_dropout=0.25)
    seen = []
    network.recurrent.lstm.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    x = 1.0 + torch.rand(50, 6, 400)
    network.train()(x)
    kept = seen[0] != 0
    assert (kept == kept[:, :1]).all()  # the same at every step ...
    assert not (kept[0] == kept[1]).all()  # ... of one sequence
    torch.testing.assert_close(seen[0][kept], x[kept] / 0.75)
    # 20,000 draws: five standard errors are 0.015.
    assert kept[:, 0].float().mean().item() == pytest.approx(0.75, abs=0.015)
    network.eval()(x)
    assert torch.equal(seen[1], x)


@pytest.mark.parametrize(
    "option", ["dropout", OPTION + "recurrent_dropout", OPTION + "spatial_dropout"]
)
def test_dropout_is_off_at_predict(option, data):
    X, y = data
    model = LSTMForecaster(4, max_epochs=2, device="cpu", random_state=0).set_params(
        **{option: 0.5}
    )
    first = model.fit(X, y).predict(X)
    assert np.array_equal(model.predict(X), first)
    network = LSTMNetwork(3, 1, 4)
    network.load_state_dict(model.net_.module_.state_dict())
    model.net_.module_ = network.eval()  # has the same weights and no dropout
    np.testing.assert_allclose(model.predict(X), first, rtol=1e-12)


# Variance of a weight by its fan in and out, and the bound of the uniform ones: the papers' own
# formulas (Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998).
VARIANCES = {
    "glorot": lambda n_in, n_out: 2 / (n_in + n_out),
    "he": lambda n_in, n_out: 2 / n_in,
    "lecun": lambda n_in, n_out: 1 / n_in,
}


def of_the_distribution(weights, name, n_in, n_out):
    """Say whether many weights have the spread, the shape and the bound of the named one."""
    family, _, shape = name.partition("_")
    if name == "normal":
        variance, shape = 0.05**2, "normal"
    elif name == "uniform":
        variance, shape = 0.05**2 / 3, "uniform"
    else:
        variance = VARIANCES[family](n_in, n_out)
    z = weights.detach().double().flatten().numpy() / np.sqrt(variance)
    error = 5 / np.sqrt(len(z))
    kurtosis = {"normal": 3.0, "uniform": 1.8}[shape]
    within = shape == "normal" or np.abs(z).max() <= np.sqrt(3) + 1e-6
    return (
        within
        and abs(z.mean()) < error
        and abs(z.var() - 1) < np.sqrt(kurtosis - 1) * error
        and abs((z**4).mean() - kurtosis) < np.sqrt(96) * error
    )


@pytest.mark.parametrize("name", sorted(set(INITIAL_WEIGHTS) - {"orthogonal"}))
def test_initial_weights_have_the_distribution_they_say(name):
    network = LSTMNetwork(
        150, 1, 100, dense_units=200, weight_init=name, recurrent_init=name, n_layers=2
    )
    layers = network.recurrent.lstm
    for gate in range(4):
        rows = slice(100 * gate, 100 * gate + 100)
        assert of_the_distribution(layers.weight_ih_l0[rows], name, 150, 100)
        assert of_the_distribution(layers.weight_hh_l0[rows], name, 100, 100)
        assert of_the_distribution(layers.weight_ih_l1[rows], name, 100, 100)
    assert of_the_distribution(network.head[1].weight, name, 100, 200)
    for parameter, weight in network.named_parameters():
        assert "bias" not in parameter or (weight == 0).all()


def test_orthogonal_weights_keep_lengths():
    layers = RecurrentLayers(3, 20)
    before = layers.lstm.weight_ih_l0.clone()
    draw_weights(layers, recurrent_init="orthogonal")
    for gate in layers.lstm.weight_hh_l0.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(20), atol=1e-5, rtol=0)
    assert torch.equal(layers.lstm.weight_ih_l0, before)
    draw_weights(layers, "orthogonal")
    for gate in layers.lstm.weight_ih_l0.detach().chunk(4):
        torch.testing.assert_close(gate.T @ gate, torch.eye(3), atol=1e-5, rtol=0)


def test_torch_weights_are_torchs_own():
    torch.manual_seed(3)
    plain = torch.nn.LSTM(2, 5, batch_first=True)
    torch.manual_seed(3)
    ours = RecurrentLayers(2, 5).lstm
    for a, b in zip(plain.parameters(), ours.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("weight_init", ["torch", "glorot_uniform"])
def test_forget_bias_is_that_of_the_forget_gate_alone(weight_init):
    network = LSTMNetwork(2, 1, 4, n_layers=2, bidirectional=True, weight_init=weight_init)
    other = LSTMNetwork(2, 1, 4, n_layers=2, bidirectional=True)
    other.load_state_dict(network.state_dict())
    draw_weights(other, forget_bias=1.5)
    forget = slice(4, 8)
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        biases = [getattr(other.recurrent.lstm, f"bias_{part}_{suffix}") for part in ("ih", "hh")]
        assert (sum(biases)[forget] == 1.5).all()
        untouched = getattr(network.recurrent.lstm, f"bias_ih_{suffix}")
        assert torch.equal(biases[0][:4], untouched[:4])
        assert torch.equal(biases[0][8:], untouched[8:])


def test_unknown_initial_weights_are_named():
    with pytest.raises(ValueError, match=r"unknown initial weights 'xavier'.*glorot_uniform"):
        LSTMNetwork(1, 1, weight_init="xavier")
    with pytest.raises(ValueError, match="'recurrent_init' parameter of NetworkOptions"):
        LSTMForecaster(network_options=NetworkOptions(recurrent_init="zeros")).fit([[1.0]], [1.0])
