"""How much time and memory `LSTMForecaster.fit` costs beyond the training itself.

Time: against a hand-written torch loop that takes the same steps (network, weights, batches, loss,
optimizer, clipping, one thread), both in turn in one process. Memory: the peak of a fit on a
strided view of windows, as a ratio to the table under it. On a device: epochs a second beside a
loop of the same network, its table and all else on that device.

    python benchmarks/fit_speed.py --help
    python benchmarks/fit_speed.py --device cuda --sizes 10000 100000 1000000 --batch-size 256
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sklearn_jobtime.lstm import LSTMForecaster, LSTMNetwork, ResidualForecaster

LR, CLIP, BATCH_SIZE, HIDDEN = 0.01, 1.0, 32, 32
SEED = int(np.random.RandomState(0).randint(2**31))  # what the forecaster draws from 0


def make_windows(n_rows: int, n_steps: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows (a view) on a table of noisy cycles, and the first column of the row after each."""
    rng = np.random.default_rng(0)
    # In place: what a temporary table takes would hide what the fit takes.
    table = rng.standard_normal((n_rows + n_steps, n_features))
    table += 100.0 + 10.0 * np.sin(np.arange(n_rows + n_steps) / 5.0)[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(table, n_steps, axis=0)[:-1]
    return windows.swapaxes(1, 2), table[n_steps:, 0]


def fit_ours(X: np.ndarray, y: np.ndarray, epochs: int) -> tuple[float, float, int]:
    """Return the seconds of a fit, the training loss of its last epoch, and its steps."""
    model = LSTMForecaster(
        HIDDEN,
        lr=LR,
        batch_size=BATCH_SIZE,
        max_epochs=epochs,
        early_stopping=False,
        gradient_clip=CLIP,
        device="cpu",
        random_state=0,
    )
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    step = next(iter(model.net_.optimizer_.state.values()))["step"]
    return seconds, float(model.training_history_["train_loss"].iloc[-1]), int(step)


def fit_by_hand(X: np.ndarray, y: np.ndarray, epochs: int) -> tuple[float, float, int]:
    """Return the same of a plain loop over tensors that were standardised as a whole before."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    start = time.perf_counter()
    mean, scale = X.mean(axis=(0, 1)), X.std(axis=(0, 1))
    inputs = torch.from_numpy(((X - mean) / scale).astype(np.float32))
    targets = torch.from_numpy(((y - y.mean()) / y.std()).astype(np.float32))[:, None]
    network = LSTMNetwork(X.shape[2], 1, HIDDEN)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    criterion = torch.nn.L1Loss()
    torch.manual_seed(SEED + 1)
    steps = 0
    for _ in range(epochs):
        total = 0.0
        order = torch.randperm(len(inputs))
        for first in range(0, len(inputs), BATCH_SIZE):
            batch = order[first : first + BATCH_SIZE]
            optimizer.zero_grad()
            loss = criterion(network(inputs[batch]), targets[batch])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            total += loss.item() * len(batch)
            steps += 1
    return time.perf_counter() - start, total / len(inputs), steps


def peak_memory_ratio(n_rows: int, n_steps: int, n_features: int) -> float:
    """Growth of this process's peak memory in a fit of one epoch, per byte of the table.

    Peaks only ever grow, so this needs a process of its own; a small fit before it loads the code
    and warms the allocators.
    """
    import resource  # noqa: PLC0415  (POSIX only; the timing runs anywhere)

    fit_ours(*make_windows(1000, n_steps, n_features), epochs=1)
    X, y = make_windows(n_rows, n_steps, n_features)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit_ours(X, y, epochs=1)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    unit = 1 if sys.platform == "darwin" else 1024
    return grown * unit / ((n_rows + n_steps) * n_features * X.itemsize)


def epochs_by_hand(
    X: np.ndarray, y: np.ndarray, epochs: int, batch_size: int, device: str
) -> float:
    """Return the epochs a second of a plain loop whose table and targets are on the device."""
    torch.manual_seed(SEED)
    n, n_steps, n_features = X.shape
    table = torch.from_numpy(np.concatenate([X[:, 0], X[-1, 1:]])).to(device)
    table = ((table - table.mean(dim=0)) / table.std(dim=0)).float()
    windows = table.as_strided((n, n_steps, n_features), (n_features, n_features, 1))
    targets = torch.from_numpy((y - y.mean()) / y.std()).to(device, torch.float32)[:, None]
    network = LSTMNetwork(n_features, 1, HIDDEN).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR, fused=True)
    criterion = torch.nn.L1Loss()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        total = torch.zeros((), device=device)
        for batch in torch.randperm(n, device=device).split(batch_size):
            optimizer.zero_grad()
            loss = criterion(network(windows[batch]), targets[batch])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            total += loss.detach() * len(batch)
        assert np.isfinite(total.item())  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 1 / float(np.median(seconds[1:]))


def on_device(
    sizes: Sequence[int],
    n_steps: int,
    n_features: int,
    epochs: int,
    batch_size: int,
    device: str,
    n_members: int = 3,
) -> dict[int, tuple[float, float, float]]:
    """Return and print epochs a second for each number of windows: ours, members, by hand.

    The first epoch, which loads the kernels, does not count.
    """
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    print(f"{name}, windows of {n_steps} x {n_features}, {HIDDEN} units, batches of {batch_size}")
    print(f"  windows | fit, epochs/s | of {n_members} members | by hand | ratio")
    found = {}
    torch.set_num_threads(1)
    for n in sizes:
        X, y = make_windows(n, n_steps, n_features)
        shared: Any = {
            "lr": LR,
            "batch_size": batch_size,
            "max_epochs": epochs,
            "early_stopping": False,
            "device": device,
            "random_state": 0,
        }
        rates = []
        for model in (
            LSTMForecaster(HIDDEN, gradient_clip=CLIP, **shared),
            ResidualForecaster(HIDDEN, n_members=n_members, **shared),
        ):
            seconds = model.fit(X, y).training_history_["seconds"]
            rates.append(1 / float(seconds[1:].median()))
        rates.append(epochs_by_hand(X, y, epochs, batch_size, device))
        found[n] = (rates[0], rates[1], rates[2])
        print(
            f"{n:9d} | {rates[0]:13.3f} | {rates[1]:12.3f} | {rates[2]:7.3f} | "
            f"{rates[0] / rates[2]:.2f}"
        )
    return found


def main(argv: Sequence[str] | None = None) -> dict[Any, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000, help="windows (2000)")
    parser.add_argument("--steps", type=int, default=20, help="steps of a window (20)")
    parser.add_argument("--features", type=int, default=10, help="features of a step (10)")
    parser.add_argument("--epochs", type=int, default=5, help="passes of a fit (5)")
    parser.add_argument("--repeats", type=int, default=9, help="fits of each kind (9)")
    parser.add_argument(
        "--memory-rows", type=int, default=0, help="measure memory instead, with so many windows"
    )
    parser.add_argument(
        "--device", help="measure epochs a second on this device instead: 'cuda', or 'cpu'"
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 1_000_000],
        help="with --device: numbers of windows (10000 100000 1000000)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=BATCH_SIZE, help=f"with --device ({BATCH_SIZE})"
    )
    options = parser.parse_args(argv)
    if options.device:
        if not torch.cuda.is_available() and options.device.startswith("cuda"):
            parser.error("there is no CUDA device here; --device cpu measures the same on the CPU.")
        return on_device(
            options.sizes,
            options.steps,
            options.features,
            max(2, options.epochs),
            options.batch_size,
            options.device,
        )
    if options.memory_rows:
        ratio = peak_memory_ratio(options.memory_rows, options.steps, options.features)
        print(f"peak memory of a fit: {ratio:.2f} times the table of {options.memory_rows} rows")
        return {"memory_ratio": ratio}

    X, y = make_windows(options.rows, options.steps, options.features)
    fits = (fit_ours, fit_by_hand)
    for fit in fits:
        fit(X[:100], y[:100], 1)
    runs = np.array([[fit(X, y, options.epochs) for fit in fits] for _ in range(options.repeats)])
    seconds = runs[:, :, 0]
    ratios = seconds[:, 0] / seconds[:, 1]
    ours, by_hand = np.median(seconds, axis=0)
    _, losses, steps = runs[-1].T
    result = {
        "seconds": float(ours),
        "seconds_by_hand": float(by_hand),
        "ratio": float(ours / by_hand),
        "ratio_low": float(np.quantile(ratios, 0.25)),
        "ratio_high": float(np.quantile(ratios, 0.75)),
        "loss": float(losses[0]),
        "loss_by_hand": float(losses[1]),
        "steps": int(steps[0]),
        "steps_by_hand": int(steps[1]),
    }
    print(
        f"{options.rows} windows of {options.steps} x {options.features}, {result['steps']} steps: "
        f"fit {ours:.3f} s, by hand {by_hand:.3f} s, ratio {result['ratio']:.3f} "
        f"(quartiles of pairs {result['ratio_low']:.3f} to {result['ratio_high']:.3f})"
    )
    return result


if __name__ == "__main__":
    main()
