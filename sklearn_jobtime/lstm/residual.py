"""The LSTM for what a base forecast leaves: it starts at zero and averages several networks."""

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.lstm.forecaster import LSTMForecaster
from sklearn_jobtime.lstm.options import NetworkOptions

if TYPE_CHECKING:
    import torch

    from sklearn_jobtime.lstm.losses import WithinTenPercent

__all__ = ["ResidualForecaster"]


class ResidualForecaster(LSTMForecaster):
    """Learn with an LSTM what a base forecast leaves over.

    The targets are logs of the ratio of a duration to a base forecast, as
    :class:`~sklearn_jobtime.AnchoredRegressor` gives them: 0 where the base forecast is right. So
    the untrained network forecasts 0, which is the base forecast, and training only changes that
    where it helps. Several small networks are trained together and averaged, and the output sees
    what is known of the run itself beside what the LSTM says of the runs before. With
    `early_stopping` the untrained network is kept if no epoch does better on the newest rows. On
    long histories fewer epochs than `patience` are waited for: as many as make 8 steps for each of
    them, and at least four.

    Parameters
    ----------
    hidden_size, n_layers, dropout, activation, network_options
        The network, see :class:`LSTMForecaster`.
    n_members : int, default=3
        Networks, with weights of their own, that are trained together and whose forecasts are
        averaged. The time of a fit grows with their number.
    optimizer, lr, weight_decay, criterion, quantile, batch_size, max_epochs, early_stopping, \
            patience, validation_fraction, warm_start
        The training, see :class:`LSTMForecaster`.
    device, n_threads, random_state, verbose, callbacks, log_dir
        Where to compute and what to show, see :class:`LSTMForecaster`.

    Attributes
    ----------
    kept_epoch_ : int
        The epoch whose weights are in use; 0 when no training did best.
    net_, training_history_, device_, seed_ and others
        As those of :class:`LSTMForecaster`.

    See Also
    --------
    LSTMForecaster : Forecasts durations themselves; it has more options of the network. Those that
        are no parameters here keep the values that are its defaults.
    AnchoredRegressor : Makes the targets, and turns the forecasts into seconds.

    Examples
    --------
    Of what a base forecast leaves, one half can be told from the newest step:

    >>> import numpy as np
    >>> from sklearn_jobtime.lstm import ResidualForecaster
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 5, 1))
    >>> log_ratios = 0.5 * X[:, -1, 0]
    >>> model = ResidualForecaster(4, lr=0.03, max_epochs=40, device="cpu", random_state=0)
    >>> model.fit(X, log_ratios).predict([[[0.0]] * 4 + [[1.0]]]).round(1)
    array([0.5])

    Where that does not hold for the newest runs, the base forecast stays as it is:

    >>> log_ratios[150:] *= -1
    >>> model.fit(X, log_ratios).kept_epoch_
    0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LSTMForecaster._parameter_constraints,
        "n_members": [Interval(Integral, 1, None, closed="left")],
    }

    _has_skip_connection = True

    # scikit-learn reads the parameters from this signature alone, so those of LSTMForecaster that
    # a user changes stand here again.
    def __init__(
        self,
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        dropout: float = 0.0,
        activation: str = "tanh",
        network_options: NetworkOptions | None = None,
        n_members: int = 3,
        optimizer: "str | type[torch.optim.Optimizer]" = "adam",
        lr: float = 0.01,
        weight_decay: float = 0.0,
        criterion: "str | torch.nn.Module | type[torch.nn.Module]" = "mae",
        quantile: float | None = None,
        batch_size: int = 32,
        max_epochs: int = 100,
        early_stopping: bool = True,
        patience: int = 30,
        validation_fraction: float = 0.2,
        warm_start: bool = False,
        device: str = "cuda",
        n_threads: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
        log_dir: str | Path | None = None,
    ) -> None:
        super().__init__(
            hidden_size,
            n_layers=n_layers,
            dropout=dropout,
            activation=activation,
            network_options=network_options,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            criterion=criterion,
            quantile=quantile,
            batch_size=batch_size,
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            patience=patience,
            validation_fraction=validation_fraction,
            warm_start=warm_start,
            device=device,
            n_threads=n_threads,
            random_state=random_state,
            verbose=verbose,
            callbacks=callbacks,
            log_dir=log_dir,
        )
        self.n_members = n_members

    def _module_options(self, n_features: int) -> dict[str, Any]:
        network = super()._module_options(n_features)
        return network if self.n_members == 1 else {"n_members": self.n_members, **network}

    def _accuracy(self) -> "WithinTenPercent":
        from sklearn_jobtime.lstm.losses import WithinTenPercent

        return WithinTenPercent(self.target_mean_, self.target_scale_, log_targets=True)

    def _start(self) -> Floats | None:
        mean, scale = self.target_mean_, self.target_scale_
        return np.divide(-mean, scale, where=scale > 0, out=0.0 * mean)
