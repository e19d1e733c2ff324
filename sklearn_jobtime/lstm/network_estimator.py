"""What estimators with a network share: its options, its training, a pickle any machine loads."""

import copy
from collections.abc import Sequence
from inspect import signature
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklearn_jobtime._estimator import check_has_effect
from sklearn_jobtime.exceptions import DeviceError
from sklearn_jobtime.lstm import training
from sklearn_jobtime.lstm.batches import RowsDataset
from sklearn_jobtime.lstm.network import ACTIVATIONS
from sklearn_jobtime.lstm.options import NetworkOptions, options_of

__all__ = ["NETWORK_CONSTRAINTS", "TRAINING_CONSTRAINTS", "NetworkEstimator"]


# What the parameters of the network may be, by name.
NETWORK_CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "bidirectional": ["boolean"],
    "activation": [StrOptions(set(ACTIVATIONS))],
}

# The same for the parameters of its training.
TRAINING_CONSTRAINTS: dict[str, list[Any]] = {
    "optimizer": [StrOptions(set(training.OPTIMIZERS)), HasMethods("step")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "momentum": [Interval(Real, 0, 1, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "patience": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
    "device": [str],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "callbacks": [list, tuple, None],
}


class NetworkEstimator(BaseEstimator):
    """An estimator that trains a network, with the parameters named in the tables above.

    A machine without a GPU could not read weights stored on one: a pickle holds them on the CPU,
    and loading moves them to the device that the estimator asks for, where there is one. The
    forecasts come from a copy of the network, made once a fit, since copying takes longer than one
    forecast.
    """

    network_options: Any
    optimizer: str | type[torch.optim.Optimizer]
    lr: float
    momentum: float
    weight_decay: float
    batch_size: int
    early_stopping: bool
    patience: int
    validation_fraction: float
    gradient_clip: float | None
    device: str
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: Sequence[Any] | None

    device_: torch.device
    net_: Any

    _options_class: ClassVar[type[BaseEstimator]] = NetworkOptions

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set parameters, as any estimator's; also an option where `network_options` is None.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        names_an_option = any(name.startswith("network_options__") for name in params)
        if names_an_option and params.get("network_options", self.network_options) is None:
            params = {**params, "network_options": self._options_class()}
        return super().set_params(**params)

    def _network_options(self) -> dict[str, Any]:
        """Options of the network, from the parameters of the same names."""
        rare = self._options_class() if self.network_options is None else self.network_options
        return {
            **{name: getattr(self, name) for name in NETWORK_CONSTRAINTS},
            **options_of(rare),
            "generator": self.seed_,
        }

    def _check_effects(self) -> None:
        """Raise where a parameter of the training was set that does nothing."""
        optimizer, _ = self._training_options().optimizer_and_its_options()
        has = signature(optimizer).parameters
        for name in ("momentum", "weight_decay"):
            needs = f"an optimizer that has it, not optimizer={self.optimizer!r}"
            check_has_effect(self, name, name in has, needs=needs)
        for name in ("patience", "validation_fraction"):
            check_has_effect(self, name, self.early_stopping, needs="early_stopping=True")

    def _training_options(self, log_folder: Path | None = None) -> training.TrainingOptions:
        return training.TrainingOptions(
            optimizer=self.optimizer,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            gradient_clip=self.gradient_clip,
            patience=self.patience if self.early_stopping else None,
            device=self.device_,
            callbacks=self.callbacks or (),
            verbose=self.verbose,
            log_folder=log_folder,
        )

    @property
    def _validation_share(self) -> float:
        return self.validation_fraction if self.early_stopping else 0.0

    def _choose_device_and_seed(self) -> None:
        self.device_ = training.resolve_device(self.device)
        self.seed_ = training.draw_seed(self.random_state)

    def _train_net(self, dataset: RowsDataset, epochs: int, validation_share: float) -> None:
        """Train for `epochs` more passes over a dataset, and keep what they scored."""
        # Each call draws its own batches: going on is not doing the same again.
        seed = self.seed_ + len(self.net_.history) + 1
        training.train(
            self.net_, dataset, epochs=epochs, seed=seed, validation_fraction=validation_share
        )
        self.kept_epoch_ = training.kept_epoch(self.net_)
        # An epoch that the user interrupted has no scores yet.
        epochs_so_far = pd.DataFrame(self.net_.history.to_list())
        self.training_history_ = epochs_so_far.reindex(columns=training.HISTORY)
        self._make_predictor()

    def _make_predictor(self) -> None:
        """Make the network that predicts from the one that was trained."""
        dtype = training.predict_dtype(self.device_)
        self._network = copy.deepcopy(self.net_.module_).to(dtype).eval()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_network", None)
        if "net_" in state and state["device_"].type != "cpu":
            state["net_"] = training.cpu_copy(state["net_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "net_" in state:
            try:
                self.device_ = training.resolve_device(self.device)
            except DeviceError:
                self.device_ = torch.device("cpu")
            training.moved_to(state["net_"], self.device_)
            self._make_predictor()
