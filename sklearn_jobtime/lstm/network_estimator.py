"""What estimators with a network share: its options, its training, a fitted state of arrays."""

from collections.abc import Sequence
from inspect import signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklearn_jobtime._estimator import check_has_effect
from sklearn_jobtime.exceptions import DeviceError
from sklearn_jobtime.lstm.forward import ACTIVATIONS, ForwardPass
from sklearn_jobtime.lstm.names import OPTIMIZERS
from sklearn_jobtime.lstm.options import NetworkOptions, options_of

if TYPE_CHECKING:
    import torch

    from sklearn_jobtime.lstm.batches import RowsDataset
    from sklearn_jobtime.lstm.training import TrainingOptions

__all__ = ["NETWORK_CONSTRAINTS", "TRAINING_CONSTRAINTS", "NetworkEstimator", "load_training"]


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
    "optimizer": [StrOptions(set(OPTIMIZERS)), HasMethods("step")],
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


def load_training() -> Any:
    """Return the module that trains; it is torch's and skorch's, and loaded by nothing else.

    Raises
    ------
    ImportError
        Where one of these is not installed; it says who needs them.
    """
    try:
        from sklearn_jobtime.lstm import training
    except ImportError as error:
        raise ImportError(
            f"to fit, or to look at net_, torch and skorch have to be installed ({error}); run "
            "pip install torch skorch. Forecasts need neither."
        ) from error
    return training


# What of the parameters the training options take, by the same names.
_TRAINING = (
    "optimizer",
    "lr",
    "momentum",
    "weight_decay",
    "batch_size",
    "gradient_clip",
    "verbose",
)


class NetworkEstimator(BaseEstimator):
    """An estimator that trains a network, with the parameters named in the tables above.

    What it keeps of a fit are arrays and plain values: `weights_`, and what the training goes on
    with. The forecasts come from these, in NumPy; the skorch net is there during `fit`, and is made
    again when someone asks for `net_`. So torch is needed to fit and for nothing else, and nothing
    of a GPU is in a pickle.
    """

    network_options: Any
    optimizer: "str | type[torch.optim.Optimizer]"
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

    device_: str
    weights_: dict[str, np.ndarray]

    _options_class: ClassVar[type[BaseEstimator]] = NetworkOptions

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "weights_" in vars(self)

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

    @property
    def net_(self) -> Any:
        """The trained skorch net with its optimizer; made anew in a model that was loaded."""
        if "_net" not in vars(self):
            if not self.__sklearn_is_fitted__():
                raise AttributeError(f"this {type(self).__name__} has no net_: it is not fitted.")
            self._net = self._restored_net()
        return self._net

    def _restored_net(self) -> Any:
        training = load_training()
        from sklearn_jobtime.lstm import net_state

        try:
            self.device_ = str(training.resolve_device(self.device))
        except DeviceError:
            self.device_ = "cpu"
        # A net that begins sets the callbacks back; those of the user have been in training.
        given = [one[1] if isinstance(one, tuple) else one for one in self._made_with["callbacks"]]
        before = [(one, dict(vars(one))) for one in given if not isinstance(one, type)]
        net = net_state.restore(self._new_net(), self.weights_, self._net_state)
        for callback, attributes in before:
            vars(callback).clear()
            vars(callback).update(attributes)
        return net

    def _new_net(self) -> Any:
        """Make the net, not yet trained, as `_made_with` says."""
        raise NotImplementedError

    def _begin(self, network: dict[str, Any]) -> None:
        """Forget an earlier fit, and note how the net of this one is made: `network` its module."""
        for name in {"weights_", "_net", "_net_state", "_forward"} & set(vars(self)):
            delattr(self, name)
        self._made_with = {
            "network": network,
            "callbacks": tuple(self.callbacks or ()),
            "patience": self.patience if self.early_stopping else None,
            "log_folder": None,
            **{name: getattr(self, name) for name in _TRAINING},
        }

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
        has = signature(load_training().optimizer_class(self.optimizer)).parameters
        for name in ("momentum", "weight_decay"):
            needs = f"an optimizer that has it, not optimizer={self.optimizer!r}"
            check_has_effect(self, name, name in has, needs=needs)
        for name in ("patience", "validation_fraction"):
            check_has_effect(self, name, self.early_stopping, needs="early_stopping=True")

    def _training_options(self) -> "TrainingOptions":
        training, made = load_training(), self._made_with
        return training.TrainingOptions(
            **{name: made[name] for name in ("callbacks", "patience", "log_folder", *_TRAINING)},
            device=training.resolve_device(self.device_),
        )

    @property
    def _validation_share(self) -> float:
        return self.validation_fraction if self.early_stopping else 0.0

    def _choose_device_and_seed(self) -> None:
        training = load_training()
        self.device_ = str(training.resolve_device(self.device))
        self.seed_ = training.draw_seed(self.random_state)

    def _train_net(self, dataset: "RowsDataset", epochs: int, validation_share: float) -> None:
        """Train for `epochs` more passes over a dataset, and keep what they scored."""
        training = load_training()
        # Each call draws its own batches: going on is not doing the same again.
        seed = self.seed_ + len(self.net_.history) + 1
        training.train(
            self.net_, dataset, epochs=epochs, seed=seed, validation_fraction=validation_share
        )
        self.kept_epoch_ = training.kept_epoch(self.net_)
        # An epoch that the user interrupted has no scores yet.
        epochs_so_far = pd.DataFrame(self.net_.history.to_list())
        self.training_history_ = epochs_so_far.reindex(columns=training.HISTORY)

    def _keep_net(self) -> None:
        """Keep what was trained, as arrays, and make ready to forecast with it."""
        from sklearn_jobtime.lstm import net_state

        self._net_state = net_state.state_of(self.net_)
        self.weights_ = net_state.network_weights(self.net_.module_)
        self._forward = self._forward_pass()

    def _forward_pass(self) -> Any:
        """Make what forecasts of the weights."""
        return ForwardPass(self.weights_, **self._made_with["network"])

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_net", "_forward"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "net_" in state:
            raise ValueError(
                f"this {type(self).__name__} was stored with a torch network, as models of today "
                "are not"
            )
        super().__setstate__(state)
        if self.__sklearn_is_fitted__():
            self._forward = self._forward_pass()
