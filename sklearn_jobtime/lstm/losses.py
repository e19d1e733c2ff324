"""What training minimises: losses of observed and of right-censored runs, with weights."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_jobtime.lstm import names

__all__ = [
    "LOSSES",
    "BatchTargets",
    "MaskedLoss",
    "PinballLoss",
    "WithinTenPercent",
    "make_loss",
]


# Either what was observed, ``(n, outputs)`` with NaN where it was not, or that, the lower bounds
# of right-censored runs (NaN elsewhere), and the weights, ``(n, 1)``.
BatchTargets = Tensor | Sequence[Tensor]

LOSSES: dict[str, type[nn.Module] | None] = {
    name: None if torch_name is None else getattr(nn, torch_name)
    for name, torch_name in names.LOSSES.items()
}


class PinballLoss(nn.Module):
    """The loss whose minimum is a quantile: a forecast too low costs `quantile`, else the rest."""

    def __init__(self, quantile: float, reduction: str = "mean") -> None:
        super().__init__()
        self.quantile, self.reduction = quantile, reduction

    def forward(self, forecast: Tensor, actual: Tensor) -> Tensor:
        """Return the mean loss, or with the reduction "none" that of each forecast."""
        error = actual - forecast
        losses = torch.maximum(self.quantile * error, (self.quantile - 1) * error)
        return losses if self.reduction == "none" else losses.mean()


# Means of a loss that is 0 where forecast and target are equal.
MEANS = (nn.L1Loss, nn.MSELoss, nn.HuberLoss, nn.SmoothL1Loss, PinballLoss)


def repeated_for_members(actual: Tensor, forecast: Tensor) -> Tensor:
    """Repeat the targets for each member of an ensemble in training."""
    n_outputs, n_forecasts = actual.shape[-1], forecast.shape[-1]
    if n_outputs == n_forecasts:
        return actual
    return actual.repeat(*[1] * (actual.ndim - 1), n_forecasts // n_outputs)


def compared_with(targets: BatchTargets, forecast: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the value each forecast is compared with, NaN where none is known, and the weights.

    For a right-censored run that is the larger of the forecast and the lower bound: a forecast
    above the bound has no error, and no gradient.
    """
    if isinstance(targets, Tensor):
        return repeated_for_members(targets, forecast), None
    actual, at_least, weight = targets
    bound = torch.maximum(repeated_for_members(at_least, forecast), forecast)
    actual = repeated_for_members(actual, forecast)
    actual = torch.where(actual.isnan(), bound, actual)
    return actual, weight.expand_as(actual)


class MaskedLoss(nn.Module):
    """A torch loss over the targets that are known; 0 when a batch has none.

    Losses that are known to be a mean over the targets are masked where the tensors are. Any other
    is given ``(n, outputs)`` where all are known, else a 1-D tensor of the known ones; on a GPU it
    waits for each batch to learn which. With weights it is the sum of the weighted losses divided
    by their number, not by the sum of the weights: else a batch of rows of little weight would
    count as much as any other.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss: Any = loss

    @property
    def is_robust(self) -> bool:
        """Whether a single target has a bounded influence: in all losses but the squared error."""
        return not isinstance(self.loss, nn.MSELoss)

    def forward(self, forecast: Tensor, targets: BatchTargets) -> Tensor:
        """Return the loss of forecasts ``(n, outputs)`` against targets with NaN.

        Forecasts of several members, one behind the other, are each compared with the targets.
        """
        actual, weight = compared_with(targets, forecast)
        missing = actual.isnan()
        if type(self.loss) in MEANS and self.loss.reduction == "mean":
            of_each = self._of_each(
                forecast.masked_fill(missing, 0.0), actual.masked_fill(missing, 0.0)
            )
            total = of_each.sum() if weight is None else (of_each * weight).sum()
            return total / (actual.numel() - missing.count_nonzero()).clamp(min=1)
        if missing.any():
            if missing.all():
                return forecast.sum() * 0.0
            forecast, actual = forecast[~missing], actual[~missing]
            weight = None if weight is None else weight[~missing]
        if weight is None:
            return self.loss(forecast, actual)
        return (self._of_each(forecast, actual) * weight).mean()

    def _of_each(self, forecast: Tensor, actual: Tensor) -> Tensor:
        reduction = getattr(self.loss, "reduction", None)
        self.loss.reduction = "none"
        try:
            losses = self.loss(forecast, actual)
        finally:
            self.loss.reduction = reduction
        if losses.shape != forecast.shape:
            raise TypeError(
                f"{type(self.loss).__name__} gave one loss for all rows, so that `sample_weight` "
                "can not weigh them; expected a loss that knows reduction='none', as torch's do."
            )
        return losses


def make_loss(
    criterion: str | nn.Module | type[nn.Module], quantile: float | None = None
) -> MaskedLoss:
    """Return the masked loss for a name of `LOSSES`, or a torch loss module, class or instance.

    "huber" is quadratic up to an error of one standard deviation of the usual targets, then linear.
    With a `quantile` "mae" is "pinball".
    """
    if criterion == "pinball" or (criterion == "mae" and quantile is not None):
        return MaskedLoss(PinballLoss(0.5 if quantile is None else quantile))
    loss = LOSSES.get(criterion, criterion) if isinstance(criterion, str) else criterion
    if isinstance(loss, type) and issubclass(loss, nn.Module):
        return MaskedLoss(loss())
    if not isinstance(loss, nn.Module):
        raise TypeError(
            f"criterion came as {criterion!r}; expected one of {', '.join(LOSSES)}, or a torch "
            "loss module such as torch.nn.SmoothL1Loss."
        )
    return MaskedLoss(copy.deepcopy(loss))


class WithinTenPercent(nn.Module):
    """Tells which forecasts are within 10 % of the actual, from their standardised values.

    That of a right-censored run is right when it is not more than 10 % below the lower bound.
    """

    scale: Tensor | None
    offset: Tensor

    def __init__(
        self, target_mean: np.ndarray, target_scale: np.ndarray, log_targets: bool
    ) -> None:
        super().__init__()
        # |error| <= 0.1 |actual|, both divided by the scale; a constant target is always met.
        scale = torch.tensor(target_scale, dtype=torch.float32) if log_targets else None
        constant = target_scale == 0
        offset = np.where(constant, np.inf, 0.1 * target_mean / np.where(constant, 1, target_scale))
        self.register_buffer("scale", scale)
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32))

    def forward(self, forecast: Tensor, targets: BatchTargets) -> tuple[Tensor, Tensor]:
        """Count the forecasts that are near, and those with a target or a lower bound."""
        actual, _ = compared_with(targets, forecast)
        error = forecast - actual
        if self.scale is None:
            bound = torch.add(repeated_for_members(self.offset, forecast), actual, alpha=0.1).abs_()
            near = error.abs_() <= bound
        else:  # of the durations behind the logs: exp(forecast) / exp(actual) - 1
            near = torch.expm1(error * repeated_for_members(self.scale, forecast)).abs_() <= 0.1
        return near.count_nonzero(), actual.numel() - actual.isnan().count_nonzero()
