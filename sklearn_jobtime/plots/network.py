"""A drawing of a network: its layers with names and shapes, and what each reads."""

from collections.abc import Callable
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pandas as pd

from sklearn_jobtime.plots._fitted_part import fitted_part
from sklearn_jobtime.plots._network_trace import INPUT, OUTPUT, Layer, Shape, trace_network
from sklearn_jobtime.plots._style import ACTUAL, TESTED, panels_on, styled

__all__ = ["NetworkDisplay"]


Point = tuple[float, float]

# Sizes of the drawing in inches: a line of text, the frame of a box, from row to row, between
# boxes, and the lane of an arrow that passes a box.
FONT_SIZE, CHARACTER, LINE_HEIGHT, FRAME = 9.0, 0.072, 0.165, 0.13
ROW_HEIGHT, GAP, LANE = 1.0, 0.3, 0.1


def shape_text(shapes: list[Shape]) -> str:
    """Shapes in a row, equal ones counted: ``(n, 20, 8), 2 x (1, n, 8)``."""
    counted = [(shape, len(list(same))) for shape, same in groupby(shapes)]
    return ", ".join(
        f"{f'{n} x ' if n > 1 else ''}({', '.join(map(str, shape))})" for shape, n in counted
    )


def layer_lines(layer: Layer) -> list[str]:
    """Text of a box: what the layer is called, what it is, what it makes of what."""
    if layer.name == INPUT:
        return [f"{INPUT} {layer.kind}", shape_text(layer.returns)]
    if layer.name == OUTPUT:
        return [OUTPUT, shape_text(layer.returns)]
    size = f", {layer.n_parameters:,} parameters" if layer.n_parameters else ""
    shapes = f"{shape_text(layer.reads)} \u2192 {shape_text(layer.returns)}"
    return [layer.name, layer.kind + size, shapes]


def box_size(lines: list[str]) -> Point:
    """Width and height of the box around some lines of text, in inches."""
    return CHARACTER * max(map(len, lines)) + 2 * FRAME, LINE_HEIGHT * len(lines) + FRAME


def layered(
    sources: dict[str, list[str]],
) -> tuple[list[list[str]], dict[tuple[str, str], list[str]]]:
    """Rows of a drawing in which every line goes down, row by row.

    Parameters
    ----------
    sources : dict
        Of each layer, in the order of the calls, those that it reads.

    Returns
    -------
    rows : list of list of str
        Layers by the longest way from the input, each row ordered by the places of its sources. A
        line that passes a row has a place of its own in it, its *lane*.
    ways : dict
        (source, target) -> what the line goes through, row by row, both ends included.
    """
    depth: dict[str, int] = {}
    for name, before in sources.items():
        depth[name] = 1 + max((depth[source] for source in before if source in depth), default=-1)
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    ways: dict[tuple[str, str], list[str]] = {}
    for name, before in sources.items():
        rows[depth[name]].append(name)
        for source in before:
            between = range(depth.get(source, depth[name]) + 1, depth[name])
            lanes = [f"{source}>{name}@{k}" for k in between]
            ways[source, name] = [source, *lanes, name]
            for k, lane in zip(between, lanes, strict=True):
                rows[k].append(lane)
    steps = [step for way in ways.values() for step in pairwise(way)]
    for above, row in pairwise(rows):
        place = {name: k for k, name in enumerate(above)}
        mean = {
            name: np.mean(
                [place[upper] for upper, lower in steps if lower == name and upper in place]
            )
            for name in row
        }
        row.sort(key=mean.__getitem__)
    return rows, ways


def rows_given(part: Any, predict: Callable[[], Any]) -> Any:
    """Return the rows that `part` is given to predict when its whole model predicts."""
    seen = []

    def look(X: Any) -> Any:
        seen.append(X)
        return type(part).predict(part, X)

    part.predict = look
    try:
        predict()
    finally:
        del part.predict
    return seen[0]


class NetworkDisplay:
    """Draw a network: a box a layer with its name, size and shapes, and lines for what it reads.

    It shows what a forecaster is made of, and where a shape is not what one thought. The network
    is run once on a few rows while hooks look on, so the picture shows what is called, not what
    was declared; nothing is downloaded, and no other program is needed.

    Parameters
    ----------
    layers : list of Layer
        From :func:`~sklearn_jobtime.plots._network_trace.trace_network`.
    title : str, default=""

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure
        Store it with ``display.figure_.savefig("network.svg")``, or ``.png``.
    boxes_ : dict of str to Text
        The box of each layer, by the layer's name in the module.
    lines_ : dict of (str, str) to FancyArrowPatch
        The line from a layer to one that reads it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime import LSTMForecaster
    >>> from sklearn_jobtime.plots import NetworkDisplay
    >>> X = np.arange(60.0).reshape(20, 3)
    >>> model = LSTMForecaster(hidden_size=8, max_epochs=1, device="cpu", random_state=0)
    >>> display = NetworkDisplay.from_estimator(model.fit(X, X[:, 0]))
    >>> print(display.boxes_["recurrent.lstm"].get_text())
    recurrent.lstm
    LSTM, 352 parameters
    (n, 3, 1) → (n, 3, 8), 2 x (1, n, 8)
    """

    ax_: Any
    figure_: Any
    boxes_: dict[str, Any]
    lines_: dict[tuple[str, str], Any]

    def __init__(self, layers: list[Layer], *, title: str = "") -> None:
        self.layers = layers
        self.title = title

    @classmethod
    def from_estimator(
        cls, model: Any, X: Any = None, *, ax: Any = None, **artist_kwargs: Any
    ) -> "NetworkDisplay":
        """Draw the network of a fitted model.

        Parameters
        ----------
        model : estimator
            Fitted: an LSTMForecaster or LSTMTagger, or a pipeline, search or AnchoredRegressor that
            ends in one. Any other network is drawn with :meth:`from_module`.
        X : array-like or DataFrame, default=None
            A few rows to predict, for the shapes. None makes windows of zeros, as many steps and
            features as the model was fitted on, which does for :class:`LSTMForecaster`.
        ax : Axes, default=None
            Where to draw; None makes a figure that fits.
        **artist_kwargs : dict
            `text_kwargs` and `line_kwargs` of :meth:`plot`.

        Returns
        -------
        NetworkDisplay
        """
        part = fitted_part(model, "net_")
        if X is None:
            n_features = part.n_features_in_ if part.ndim_in_ == 3 else 1
            model, X = part, np.zeros((1, part.n_steps_in_, n_features)[: part.ndim_in_])
        inputs = part._network_inputs(rows_given(part, lambda: model.predict(X)))
        return cls.from_module(part.net_.module_, inputs, ax=ax, **artist_kwargs)

    @classmethod
    def from_module(
        cls, module: Any, inputs: Any, *, ax: Any = None, **artist_kwargs: Any
    ) -> "NetworkDisplay":
        """Draw any torch module.

        Parameters
        ----------
        module : torch.nn.Module
        inputs : tensor, tuple of tensors, or dict of str to tensor
            What its ``forward`` takes, with one row at least.
        ax : Axes, default=None
            Where to draw; None makes a figure that fits.
        **artist_kwargs : dict
            `text_kwargs` and `line_kwargs` of :meth:`plot`.

        Returns
        -------
        NetworkDisplay
        """
        n_parameters = sum(weights.numel() for weights in module.parameters())
        title = f"{type(module).__name__}: {n_parameters:,} parameters (n = rows)"
        return cls(trace_network(module, inputs), title=title).plot(ax=ax, **artist_kwargs)

    def frame(self) -> pd.DataFrame:
        """Give the layers as a table, one row a layer: what Keras's ``summary`` prints."""
        return pd.DataFrame(
            {
                "layer": layer.name,
                "kind": layer.kind,
                "reads": shape_text(layer.reads),
                "returns": shape_text(layer.returns),
                "parameters": layer.n_parameters,
                "sources": ", ".join(layer.sources),
            }
            for layer in self.layers
        )

    def plot(
        self,
        *,
        ax: Any = None,
        text_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> "NetworkDisplay":
        """Draw the layers from top to bottom.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; the text shrinks until it fits. None makes a figure that fits.
        text_kwargs : dict, default=None
            Keywords of matplotlib's `text` for the boxes.
        line_kwargs : dict, default=None
            Keywords of `FancyArrowPatch` for the lines.

        Returns
        -------
        NetworkDisplay
        """
        rows, ways = layered({layer.name: layer.sources for layer in self.layers})
        text = {layer.name: layer_lines(layer) for layer in self.layers}
        sizes = {name: box_size(lines) for name, lines in text.items()}
        places, width = _places(rows, sizes)
        height = ROW_HEIGHT * len(rows)
        width = max(width, box_size([self.title])[0] * 1.4)
        (self.ax_,) = panels_on(ax, 1, height=height, width=width + 0.4)
        self.figure_ = self.ax_.figure
        box = self.ax_.get_window_extent()
        room = min(box.width / width, box.height / height) / self.figure_.dpi
        size = FONT_SIZE * (min(1.0, room) if ax is not None else 1.0)
        self.ax_.set(xlim=(-width / 2, width / 2), ylim=(ROW_HEIGHT / 2 - height, ROW_HEIGHT / 2))
        self.ax_.set_aspect("equal")
        self.ax_.axis("off")
        self.ax_.set_title(self.title, fontsize=size * 1.2, fontweight="bold", parse_math=False)
        self.boxes_ = {
            name: self._draw_box(places[name], lines, size, text_kwargs)
            for name, lines in text.items()
        }
        self.lines_ = {
            pair: self._draw_line(way, places, sizes, line_kwargs) for pair, way in ways.items()
        }
        return self

    def _draw_box(
        self, place: Point, lines: list[str], size: float, text_kwargs: dict[str, Any] | None
    ) -> Any:
        from matplotlib.text import Text

        is_end = len(lines) == 2
        box = {"boxstyle": "round,pad=0.4", "edgecolor": ACTUAL if is_end else TESTED}
        style = {
            "ha": "center",
            "va": "center",
            "fontsize": size,
            "linespacing": 1.3,
            "parse_math": False,
            "bbox": {**box, "facecolor": "white", "linewidth": 1.0},
        }
        return self.ax_.text(*place, "\n".join(lines), **styled(Text, style, text_kwargs))

    def _draw_line(
        self,
        way: list[str],
        places: dict[str, Point],
        sizes: dict[str, Point],
        line_kwargs: dict[str, Any] | None,
    ) -> Any:
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        points = []
        for name in way:
            x, y = places[name]
            half = sizes.get(name, (LANE, ROW_HEIGHT / 2))[1] / 2
            points += [(x, y + half), (x, y - half)]
        points = points[1:-1]  # from the bottom of the first box to the top of the last
        style: dict[str, Any] = {
            "arrowstyle": "-|>", "mutation_scale": 9, "color": ACTUAL, "joinstyle": "round",
        }  # fmt: skip
        style = styled(FancyArrowPatch, style, line_kwargs)
        return self.ax_.add_patch(FancyArrowPatch(path=Path(points), **style))


def _places(rows: list[list[str]], sizes: dict[str, Point]) -> tuple[dict[str, Point], float]:
    """Centre of every box and lane in inches, rows centred at 0, and the width of the widest."""
    places = {}
    widest = 0.0
    for k, row in enumerate(rows):
        widths = np.array([sizes.get(name, (LANE, 0.0))[0] for name in row]) + GAP
        widest = max(widest, widths.sum())
        left = np.cumsum(widths) - widths - widths.sum() / 2
        for name, x in zip(row, left + widths / 2, strict=True):
            places[name] = (float(x), -ROW_HEIGHT * k)
    return places, widest
