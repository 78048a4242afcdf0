"""Networks in PyTorch: an MLP for tables and a CNN for rows that are pictures."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.estimators.networks import (
    CNN_SPACE,
    MLP_SPACE,
    Settings,
    Task,
    settings_for,
    split_validation,
)
from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, QUANTILES, Asked, Estimator
from forebay.workshop.train.estimators.pace import ONECYCLE, Pace, momentum_at, rate_at
from forebay.workshop.train.estimators.precision import BFLOAT16, precision_for

_ASKED_AT_ONCE = 1024
_MOST_SHIFT, _SHIFTED_SHARE = 2, 8


class TorchNetwork:
    """A network with scikit-learn's manners: `fit`, `predict`, `predict_proba`. Its input is float32."""

    def __init__(self, task: Task, *, convolutional: bool) -> None:
        self.task, self.convolutional = task, convolutional
        self.module: Any = None
        self.precision = ""

    @property
    def curve(self) -> list[dict[str, float]]:
        """Loss and validation loss, an entry an epoch."""
        return self.task.curve

    def fit(self, rows: Any, target: Array, sample_weight: Array | None = None) -> TorchNetwork:
        """Learn, and stop early by a tenth of the rows where there are enough of them."""
        import torch  # noqa: PLC0415 (heavy)

        learnt, settings = self.task.learn_target(target), self.task.settings
        convolutional = self.convolutional
        self.precision = precision_for(settings.precision, convolutional=convolutional, width=settings.width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.task.asked.seed)
            self.module = self._built(rows.shape[1])
            batches = self._batches(rows)
            ask = _in_bfloat16(self.module) if self.precision == BFLOAT16 else self.module
            _teach(self.module, ask, self.task, batches, learnt, sample_weight, shifted=convolutional)
        return self

    def _built(self, width: int) -> Any:
        return _cnn(self.task) if self.convolutional else _mlp(self.task, width)

    def _batches(self, rows: Any) -> Any:
        """*rows* so that a tensor of places gives what the module takes."""
        import torch  # noqa: PLC0415 (heavy)

        return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))

    def predict(self, rows: Any) -> Array:
        """Numbers, in the target's unit."""
        return np.asarray(self._answers(rows)[:, 0], dtype=np.float64)

    def predict_proba(self, rows: Any) -> Array:
        """Float32 of shape [rows, classes]."""
        return self._answers(rows)

    def _answers(self, rows: Any) -> Array:
        import torch  # noqa: PLC0415 (heavy)

        served = self._finished([self.module])
        values = torch.from_numpy(np.array(rows, dtype=np.float32, order="C"))
        with torch.no_grad():
            return np.concatenate([served(part).numpy() for part in values.split(_ASKED_AT_ONCE)])

    def to_onnx(self, width: int) -> Any:
        """The ONNX model: float32 `x` [rows, width] in, `answers` out."""
        import onnx  # noqa: PLC0415 (heavy)
        import torch  # noqa: PLC0415 (heavy)

        written = BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the quick exporter is called the old one
            torch.onnx.export(
                self._finished(self._served_layers()),
                (torch.zeros(2, width),),
                written,
                dynamo=False,
                opset_version=18,
                input_names=["x"],
                output_names=["answers"],
                dynamic_axes={"x": {0: "rows"}, "answers": {0: "rows"}},
            )
        return onnx.load_model_from_string(written.getvalue())

    def _served_layers(self) -> list[Any]:
        """The network as it is served: its input is [rows, width]."""
        return [self.module]

    def _finished(self, layers: list[Any]) -> Any:
        """*layers* and what makes answers of them: probabilities, or numbers in the target's unit."""
        from torch import nn  # noqa: PLC0415 (heavy)

        if self.task.kind == CLASSES:
            return nn.Sequential(*layers, nn.Softmax(dim=1)).eval()
        unscale = nn.Linear(1, 1)
        nn.init.constant_(unscale.weight, self.task.spread)
        nn.init.constant_(unscale.bias, self.task.centre)
        return nn.Sequential(*layers, unscale).eval()


def _mlp(task: Task, width: int) -> Any:
    from torch import nn  # noqa: PLC0415 (heavy)

    settings, parts = task.settings, list[Any]()
    for _ in range(settings.layers):
        parts += [nn.Linear(width, settings.width), nn.ReLU(), nn.Dropout(settings.dropout)]
        width = settings.width
    return nn.Sequential(*parts, nn.Linear(width, task.outputs))


def _cnn(task: Task) -> Any:
    """Three blocks of convolution, normalisation and ReLU, and one linear layer behind them."""
    from torch import nn  # noqa: PLC0415 (heavy)

    assert task.asked.image is not None
    depth, height, width = task.asked.image
    settings = task.settings
    parts: list[Any] = [nn.Unflatten(1, (depth, height, width)), nn.BatchNorm2d(depth, affine=False)]
    for block in range(3):
        wider = settings.channels << block
        parts += [nn.Conv2d(depth, wider, 3, padding=1, bias=False), nn.BatchNorm2d(wider), nn.ReLU()]
        if block < 2 and min(height, width) >= 4:
            parts.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        depth = wider
    parts += [nn.Flatten(), nn.Dropout(settings.dropout), nn.Linear(depth * height * width, task.outputs)]
    return nn.Sequential(*parts)


def _in_bfloat16(module: Any) -> Any:
    """Asks *module* so that its products are bfloat16, and its answers float32."""
    import torch  # noqa: PLC0415 (heavy)

    def ask(rows: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return module(rows).float()

    return ask


def _teach(
    module: Any, ask: Any, task: Task, x: Any, target: Array, weight: Array | None, *, shifted: bool
) -> None:
    """*x* gives the rows at the places of a tensor, as *module* takes them; *ask* asks it while it learns."""
    import torch  # noqa: PLC0415 (heavy)

    settings = task.settings
    learn, check = split_validation(len(x), task.asked.seed)
    batches = -(-len(learn) // settings.batch)
    optimizer = _optimizer(module, settings)
    pace = Pace(settings.epochs * batches, task.asked.allotted_s)
    y = torch.from_numpy(target)
    w = torch.ones(len(x)) if weight is None else torch.from_numpy(np.asarray(weight, dtype=np.float32))
    loss_of = _loss(task)
    best = _Best(settings.patience)
    for epoch in range(1, settings.epochs + 1):
        module.train()
        total, seen_rows = 0.0, 0
        for part in torch.from_numpy(learn)[torch.randperm(len(learn))].split(settings.batch):
            if len(part) < 2 <= len(learn):
                continue  # one row alone has no spread to normalise by
            seen = _moved(x[part], task, settings.shift) if shifted else x[part]
            loss = (loss_of(ask(seen), y[part]) * w[part]).mean()
            _paced(optimizer, settings, pace.share)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            pace.step()
            total, seen_rows = total + float(loss.detach()) * len(part), seen_rows + len(part)
            if pace.over:
                break
        validation = _validated(module, loss_of, x, y, check)
        task.told(epoch, total / max(1, seen_rows), validation)
        if (validation is not None and best.enough(validation, module)) or pace.over:
            break
    best.restore(module)


def _validated(module: Any, loss_of: Any, x: Any, y: Any, check: Array) -> float | None:
    import torch  # noqa: PLC0415 (heavy)

    if not len(check):
        return None
    module.eval()
    places = torch.from_numpy(check)
    with torch.no_grad():
        return float(loss_of(module(x[places]), y[places]).mean())


class _Best:
    """The weights of the best epoch, and when to stop waiting for a better one."""

    def __init__(self, patience: int) -> None:
        self._patience, self._waited = patience, 0
        self._loss = float("inf")
        self._weights: dict[str, Any] = {}

    def enough(self, loss: float, module: Any) -> bool:
        if loss < self._loss:
            self._loss, self._waited = loss, 0
            self._weights = {name: value.clone() for name, value in module.state_dict().items()}
        else:
            self._waited += 1
        return self._waited >= self._patience

    def restore(self, module: Any) -> None:
        if self._weights:
            module.load_state_dict(self._weights)


def _optimizer(module: Any, settings: Settings) -> Any:
    from torch import optim  # noqa: PLC0415 (heavy)

    named = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return optim.SGD(module.parameters(), momentum=0.9, nesterov=True, **named)
    return (optim.Adam if settings.optimizer == "adam" else optim.AdamW)(module.parameters(), **named)


def _paced(optimizer: Any, settings: Settings, share: float) -> None:
    """Give *optimizer* its rate, and with `onecycle` its momentum, where *share* of the learning is over."""
    momentum = momentum_at(share)
    for group in optimizer.param_groups:
        group["lr"] = rate_at(share, settings.schedule, settings.learning_rate)
        if settings.schedule != ONECYCLE:
            continue
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def _loss(task: Task) -> Any:
    """The loss of each row: cross-entropy, the squared error, or the pinball loss of a quantile."""
    import torch  # noqa: PLC0415 (heavy)
    from torch.nn import functional  # noqa: PLC0415 (heavy)

    if task.kind == CLASSES:
        smoothing = task.settings.smoothing
        return lambda got, want: functional.cross_entropy(
            got, want, reduction="none", label_smoothing=smoothing
        )
    share = task.quantile
    if share is None:
        return lambda got, want: ((got - want) ** 2)[:, 0]
    return lambda got, want: torch.maximum(share * (want - got), (share - 1) * (want - got))[:, 0]


def _moved(rows: Any, task: Task, most: int) -> Any:
    """The pictures of *rows*, all moved by the same few pixels."""
    import torch  # noqa: PLC0415 (heavy)

    assert task.asked.image is not None
    down, right = (int(step) for step in torch.randint(-most, most + 1, (2,)))
    return torch.roll(rows.reshape(-1, *task.asked.image), (down, right), (2, 3)).flatten(1)


def _maker(kind: str, *, convolutional: bool) -> Any:
    def make(asked: Asked) -> TorchNetwork:
        own: dict[str, Any] = {}
        if convolutional:
            own = {"epochs": 12, "dropout": 0.3, "smoothing": 0.05, "shift": _shift(asked)}
        without: tuple[str, ...] = ("width", "layers") if convolutional else ("channels", "shift")
        without += () if kind == CLASSES else ("smoothing",)
        settings = settings_for(asked, without, **own)
        return TorchNetwork(Task(asked, kind, settings), convolutional=convolutional)

    return make


def _shift(asked: Asked) -> int:
    """By how many pixels a picture may move and still show the same: of 8 by 8 pixels, by one."""
    sides = asked.image[1:] if asked.image is not None else (0,)
    return min(_MOST_SHIFT, min(sides) // _SHIFTED_SHARE)


TORCH = (
    Estimator(
        "torch-mlp",
        {kind: _maker(kind, convolutional=False) for kind in (CLASSES, NUMBERS, QUANTILES)},
        MLP_SPACE,
        scaled=True,
        filled=True,
        paced=True,
        alone=True,
        module="torch",
        extra="torch",
    ),
    Estimator(
        "torch-cnn",
        {kind: _maker(kind, convolutional=True) for kind in (CLASSES, NUMBERS)},
        CNN_SPACE,
        filled=True,
        paced=True,
        pixels=True,
        module="torch",
        extra="torch",
    ),
)
