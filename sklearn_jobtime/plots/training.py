"""Training curves: how loss and accuracy went from epoch to epoch, and which epoch was kept."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from sklearn_jobtime.plots._fitted_part import fitted_part
from sklearn_jobtime.plots._style import (
    ACTUAL,
    COMING,
    TESTED,
    legend_above,
    panels_on,
    quiet_frame,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainingDisplay"]


# Which columns of the history belong to a panel, what its axis says, and the scale of its values.
PANELS = (("loss", "loss", 1.0), ("accuracy", "accuracy (%)", 100.0))
PARTS = (("train", "training rows", ACTUAL), ("valid", "validation rows", TESTED))


class TrainingDisplay:
    """Draw the losses and accuracies of a training run, epoch by epoch.

    Look at it when a forecast is poor. Both losses high: the network has not learned, so train
    longer or with another learning rate. The training loss falls and the validation loss rises: it
    learns its rows by heart, so use fewer units, more dropout or more runs.

    Parameters
    ----------
    history : DataFrame
        One row an epoch: `epoch`, `train_loss`, `valid_loss` and, for a second panel,
        `train_accuracy`, `valid_accuracy`. A column that is missing or all NaN is not drawn.
    kept_epoch : int, default=None
        The epoch whose weights are in use; 0 when untrained weights did best. None marks none.

    Attributes
    ----------
    ax_ : ndarray of Axes
        A panel for the loss, one for the accuracy if there is one.
    figure_ : Figure
        Store it with ``display.figure_.savefig(path)``.
    lines_ : dict of str to Line2D
        The curves, by their column.
    kept_lines_ : list of Line2D
        The mark of the kept epoch, one a panel.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime import LSTMForecaster
    >>> from sklearn_jobtime.plots import TrainingDisplay
    >>> X = np.arange(60.0).reshape(20, 3)
    >>> model = LSTMForecaster(hidden_size=4, max_epochs=5, device="cpu", random_state=0)
    >>> display = TrainingDisplay.from_estimator(model.fit(X, X[:, 0]))
    >>> list(display.lines_)
    ['train_loss', 'valid_loss', 'train_accuracy', 'valid_accuracy']
    """

    ax_: Any
    figure_: Any
    lines_: dict[str, Any]
    kept_lines_: list[Any]

    def __init__(self, history: pd.DataFrame, *, kept_epoch: int | None = None) -> None:
        self.history = history
        self.kept_epoch = kept_epoch

    @classmethod
    def from_estimator(
        cls, model: Any, *, ax: Any = None, **artist_kwargs: Any
    ) -> "TrainingDisplay":
        """Draw how a fitted model was trained.

        Parameters
        ----------
        model : estimator
            Fitted, with `training_history_` and `kept_epoch_` as :class:`LSTMForecaster` has them,
            or a pipeline, search or AnchoredRegressor that ends in one.
        ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        TrainingDisplay
        """
        part = fitted_part(model, "training_history_")
        kept_epoch = getattr(part, "kept_epoch_", None)
        return cls(part.training_history_, kept_epoch=kept_epoch).plot(ax=ax, **artist_kwargs)

    @classmethod
    def from_history(
        cls,
        history: pd.DataFrame,
        *,
        kept_epoch: int | None = None,
        ax: Any = None,
        **artist_kwargs: Any,
    ) -> "TrainingDisplay":
        """Draw a history that you have.

        Parameters
        ----------
        history, kept_epoch
            See the class.
        ax, **artist_kwargs
            See :meth:`plot`.

        Returns
        -------
        TrainingDisplay
        """
        return cls(history, kept_epoch=kept_epoch).plot(ax=ax, **artist_kwargs)

    def plot(
        self, *, ax: Any = None, line_kwargs: dict[str, Any] | None = None
    ) -> "TrainingDisplay":
        """Draw the curves.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            One for the loss, and one for the accuracy if there is one; None makes a figure.
        line_kwargs : dict, default=None
            Keywords of matplotlib's `plot` for the curves.

        Returns
        -------
        TrainingDisplay
        """
        shown = self.history.dropna(axis=1, how="all")
        panels = [p for p in PANELS if any(f"{part}_{p[0]}" in shown for part, *_ in PARTS)]
        if not panels:
            raise ValueError(
                f"the history has the columns {list(self.history)} and {len(self.history)} epochs; "
                "expected train_loss or valid_loss of at least one epoch."
            )
        self.ax_ = panels_on(ax, len(panels), height=3.2, columns=2, width=4.5 * len(panels))
        self.figure_ = self.ax_[0].figure
        self.lines_, self.kept_lines_ = {}, []
        for axis, (score, label, factor) in zip(self.ax_, panels, strict=True):
            self._draw(axis, shown, score, factor, line_kwargs)
            axis.set_ylabel(label)
        legend_above(self.figure_, self.ax_[0].get_legend_handles_labels()[0])
        return self

    def _draw(
        self,
        ax: "Axes",
        shown: pd.DataFrame,
        score: str,
        factor: float,
        line_kwargs: dict[str, Any] | None,
    ) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        for part, label, color in PARTS:
            column = f"{part}_{score}"
            if column in shown:
                style = {
                    "color": color,
                    "label": label,
                    "marker": "o",
                    "markersize": 3 if len(shown) > 1 else 5,
                    "markevery": [-1] if len(shown) > 1 else None,
                }
                (self.lines_[column],) = ax.plot(
                    shown["epoch"], factor * shown[column], **styled(Line2D, style, line_kwargs)
                )
        if self.kept_epoch is not None:
            self.kept_lines_.append(
                ax.axvline(
                    self.kept_epoch,
                    color=COMING,
                    linestyle="--",
                    label=f"weights of epoch {self.kept_epoch}, kept",
                )
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("epoch")
        quiet_frame(ax)
