"""The layers of a torch network, found by running it: names, shapes, and what reads what.

It needs no import of torch: it handles the module and the tensors that it is given.
"""

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Layer", "trace_network"]


INPUT, OUTPUT = "input", "output"
Shape = tuple[int | str, ...]


@dataclass
class Layer:
    """One box of the drawing: what a module was given and what it returned."""

    name: str
    kind: str
    n_parameters: int
    reads: list[Shape]
    returns: list[Shape]
    sources: list[str] = field(default_factory=list)


def tensors_in(value: Any) -> Iterator[Any]:
    """Yield the tensors in a value, nested in tuples, lists and dicts or not."""
    if hasattr(value, "grad_fn"):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)


def shapes_in(value: Any) -> list[Shape]:
    """Shapes of the tensors in a value."""
    return [tuple(tensor.shape) for tensor in tensors_in(value)]


def with_tensors(value: Any, change: Any) -> Any:
    """Copy a nested value with every tensor changed."""
    if hasattr(value, "grad_fn"):
        return change(value)
    if isinstance(value, dict):
        return {key: with_tensors(part, change) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(with_tensors(part, change) for part in value)
    return value


class _Trace:
    """Forward hooks that note, call by call, what the innermost modules read and return.

    A module that has weights beyond those of the modules it calls is one layer, whatever it calls:
    a cell of one's own with an activation inside, say. Which layer made what another one reads is
    found in autograd's graph: a tensor is followed back through slices and concatenations to the
    next tensor that a layer has returned.
    """

    def __init__(self, module: Any) -> None:
        self.parts = {name or "network": part for name, part in module.named_modules()}
        self.layers: dict[str, Layer] = {}
        self.maker: dict[Any, str] = {}
        self.calls: list[list[str]] = []  # of the calls under way: the layers called inside
        for name, part in self.parts.items():
            part.register_forward_pre_hook(self._enter)
            part.register_forward_hook(self._leave(name, part is module), with_kwargs=True)

    def _enter(self, module: Any, inputs: Any) -> None:  # noqa: ARG002
        self.calls.append([])

    def _leave(self, name: str, is_whole: bool) -> Any:
        def leave(module: Any, inputs: Any, named: dict[str, Any], outputs: Any) -> Any:
            inside = self.calls.pop()
            calls = self.calls[-1] if self.calls else []
            if inside and (is_whole or not self._has_more_weights(module, inside)):
                calls += inside
                return outputs
            if any(hasattr(value, "batch_sizes") for value in inputs):
                return outputs  # packed sequences have no steps: the module around is the layer
            for part in inside:
                self.layers.pop(part, None)
            calls.append(name)
            self._note(name, module, list(tensors_in([inputs, named])), outputs)
            return self.made_by(name, outputs)

        return leave

    def _has_more_weights(self, module: Any, inside: list[str]) -> bool:
        weights = {id(w) for part in inside for w in self.parts[part].parameters()}
        return any(id(own) not in weights for own in module.parameters())

    def _note(self, name: str, module: Any, given: list[Any], outputs: Any) -> None:
        if name not in self.layers:
            n_parameters = sum(weights.numel() for weights in module.parameters())
            self.layers[name] = Layer(
                name, kind_of(module), n_parameters, shapes_in(given), shapes_in(outputs)
            )
        known = self.layers[name].sources
        known += [s for s in self.sources(given) if s not in (*known, name)]

    def made_by(self, name: str, value: Any) -> Any:
        """Return `value` with tensors of its own, which are known as made by `name`."""

        def mark(tensor: Any) -> Any:
            own = tensor.view_as(tensor)  # dropout returns its input in evaluation
            if own.grad_fn is not None:
                self.maker[own.grad_fn] = name
            return own

        return with_tensors(value, mark)

    def sources(self, tensors: list[Any]) -> list[str]:
        """Names of the layers that `tensors` come from; `INPUT` where no layer made them."""
        found: dict[str, None] = {}
        for tensor in tensors:
            reached, seen, came_from = [tensor.grad_fn], set(), []
            while reached:
                node = reached.pop()
                if node is None or node in seen:
                    continue
                seen.add(node)
                if node in self.maker:
                    came_from.append(self.maker[node])
                else:
                    reached += [before for before, _ in node.next_functions]
            found |= dict.fromkeys(came_from or [INPUT])
        return list(found)


def kind_of(module: Any) -> str:
    """Class of a module, with the options of one that has no parameters: ``Dropout(p=0.2)``."""
    kind = type(module).__name__
    options = module.extra_repr().replace(", inplace=False", "")
    return f"{kind}({options})" if options and not any(True for _ in module.parameters()) else kind


def trace_network(module: Any, inputs: Any) -> list[Layer]:
    """Run a copy of a torch module on a batch, and give its layers in the order of their calls.

    Parameters
    ----------
    module : torch.nn.Module
    inputs : tensor, tuple of tensors, or dict of str to tensor
        What its ``forward`` takes, with one row at least.

    Returns
    -------
    list of Layer
        The first is the input and the last the output. A layer is a module that calls no other,
        or has weights of its own.
        In shapes, ``"n"`` stands for what grows with the rows of the batch.

    Examples
    --------
    >>> import torch
    >>> from sklearn_jobtime.plots._network_trace import trace_network
    >>> module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    >>> for layer in trace_network(module, torch.zeros(1, 3)):
    ...     print(layer.name, layer.returns, layer.sources)
    input [('n', 3)] []
    0 [('n', 4)] ['input']
    1 [('n', 4)] ['0']
    output [('n', 4)] ['1']
    """
    module = copy.deepcopy(module).cpu().eval()
    for weights in module.parameters():
        weights.requires_grad_()
    if not any((weights * 1).requires_grad for weights in module.parameters()):
        raise ValueError(
            f"{type(module).__name__} computes no gradients, so nothing tells which layer reads "
            "which: expected a module with parameters, called outside of torch.no_grad()."
        )
    two, three = (_layers(copy.deepcopy(module), inputs, n_rows) for n_rows in (2, 3))
    for layer, other in zip(two, three, strict=True):
        layer.reads = _rows_as_n(layer.reads, other.reads)
        layer.returns = _rows_as_n(layer.returns, other.returns)
    return two


def _layers(module: Any, inputs: Any, n_rows: int) -> list[Layer]:
    """Layers of a module run on `n_rows` copies of the first row of its inputs."""
    batch = next(tensors_in(inputs)).shape[0]
    dtype = next(module.parameters()).dtype

    def resized(tensor: Any) -> Any:
        own = tensor.detach().clone().cpu()
        if own.ndim and own.shape[0] == batch:
            own = own[:1].expand(n_rows, *own.shape[1:]).clone()
        return own.to(dtype).requires_grad_() if own.is_floating_point() else own

    trace = _Trace(module)
    signature = inspect.signature(module.forward)
    if isinstance(inputs, dict):
        bound = signature.bind(**inputs)
    else:
        bound = signature.bind(*(inputs if isinstance(inputs, tuple) else (inputs,)))
    bound.arguments = trace.made_by(INPUT, with_tensors(dict(bound.arguments), resized))
    given = shapes_in(bound.arguments)
    names = ", ".join(bound.arguments)
    outputs = module(*bound.args, **bound.kwargs)
    made = shapes_in(outputs)
    first = Layer(INPUT, names, 0, given, given)
    last = Layer(OUTPUT, "", 0, made, made, trace.sources(list(tensors_in(outputs))))
    return [first, *trace.layers.values(), last]


def _rows_as_n(shapes: list[Shape], others: list[Shape]) -> list[Shape]:
    return [
        tuple("n" if a != b else a for a, b in zip(*pair, strict=True))
        for pair in zip(shapes, others, strict=True)
    ]
