"""The same networks in Keras, on the TensorFlow backend."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
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
from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, Asked, Estimator
from forebay.workshop.train.estimators.pace import Pace, rate_at

_ASKED_AT_ONCE = 1024


class KerasNetwork:
    """A network with scikit-learn's manners: `fit`, `predict`, `predict_proba`. Its input is float32."""

    def __init__(self, task: Task, *, convolutional: bool) -> None:
        self.task, self.convolutional = task, convolutional
        self.model: Any = None

    @property
    def curve(self) -> list[dict[str, float]]:
        """Loss and validation loss, an entry an epoch."""
        return self.task.curve

    def fit(self, rows: Array, target: Array, sample_weight: Array | None = None) -> KerasNetwork:
        """Learn, and stop early by a tenth of the rows where there are enough of them."""
        import keras  # noqa: PLC0415 (heavy)

        task, settings = self.task, self.task.settings
        learnt = task.learn_target(target)
        keras.utils.set_random_seed(task.asked.seed)
        self.model = _model(task, rows.shape[1], convolutional=self.convolutional)
        learn, check = split_validation(len(rows), task.asked.seed)
        batches = -(-len(learn) // settings.batch)
        loss = "sparse_categorical_crossentropy" if task.kind == CLASSES else "mse"
        self.model.compile(optimizer=_optimizer(settings), loss=loss)
        rows = np.asarray(rows, dtype=np.float32)
        self.model.fit(
            rows[learn],
            learnt[learn],
            sample_weight=None if sample_weight is None else np.asarray(sample_weight)[learn],
            validation_data=(rows[check], learnt[check]) if len(check) else None,
            epochs=settings.epochs,
            batch_size=settings.batch,
            verbose=0,
            callbacks=_callbacks(task, settings.epochs * batches, stops=bool(len(check))),
        )
        return self

    def predict(self, rows: Array) -> Array:
        """Numbers, in the target's unit."""
        told = self._answers(rows)[:, 0].astype(np.float64)
        return np.asarray(told * self.task.spread + self.task.centre)

    def predict_proba(self, rows: Array) -> Array:
        """Float32 of shape [rows, classes]."""
        return self._answers(rows)

    def _answers(self, rows: Array) -> Array:
        values = np.asarray(rows, dtype=np.float32)
        parts = [
            np.asarray(self.model(values[start : start + _ASKED_AT_ONCE], training=False))
            for start in range(0, len(values), _ASKED_AT_ONCE)
        ]
        return np.concatenate(parts)

    def to_onnx(self, width: int) -> Any:
        """The ONNX model: float32 `x` [rows, width] in, one output of answers."""
        import onnx  # noqa: PLC0415 (heavy)

        self.model(np.zeros((2, width), np.float32))
        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            self.model.export(path, format="onnx", verbose=False, opset_version=18)
            return onnx.load(str(path))

    @property
    def affine(self) -> tuple[float, float]:
        """What the graph's numbers are multiplied by, and what is added then."""
        return self.task.spread, self.task.centre


def _model(task: Task, width: int, *, convolutional: bool) -> Any:
    import keras  # noqa: PLC0415 (heavy)

    layers = _pictured(task) if convolutional else _dense(task.settings)
    last = keras.layers.Dense(task.outputs, activation="softmax" if task.kind == CLASSES else None)
    return keras.Sequential([keras.Input((width,)), *layers, last])


def _dense(settings: Settings) -> list[Any]:
    from keras import layers  # noqa: PLC0415 (heavy)

    parts: list[Any] = []
    for _ in range(settings.layers):
        parts += [layers.Dense(settings.width, activation="relu"), layers.Dropout(settings.dropout)]
    return parts


def _pictured(task: Task) -> list[Any]:
    from keras import layers  # noqa: PLC0415 (heavy)

    assert task.asked.image is not None
    channels, height, width = task.asked.image
    parts = [
        layers.Reshape((channels, height, width)),
        layers.Permute((2, 3, 1)),
        layers.BatchNormalization(),
    ]
    for block in range(3):
        wider = task.settings.channels << block
        parts += [layers.Conv2D(wider, 3, padding="same", use_bias=False), layers.BatchNormalization()]
        parts += [layers.ReLU()]
        if block < 2 and min(height, width) >= 4:
            parts.append(layers.MaxPooling2D(2))
            height, width = height // 2, width // 2
    return [*parts, layers.Flatten(), layers.Dropout(task.settings.dropout)]


def _optimizer(settings: Settings) -> Any:
    from keras import optimizers  # noqa: PLC0415 (heavy)

    rate = rate_at(0.0, settings.schedule, settings.learning_rate)
    if settings.optimizer == "sgd":
        return optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=settings.weight_decay)
    chosen = optimizers.Adam if settings.optimizer == "adam" else optimizers.AdamW
    return chosen(rate, weight_decay=settings.weight_decay)


def _callbacks(task: Task, steps: int, *, stops: bool) -> list[Any]:
    from keras import callbacks  # noqa: PLC0415 (heavy)

    settings, pace = task.settings, Pace(steps, task.asked.allotted_s)

    def told(epoch: int, logs: dict[str, float]) -> None:
        task.told(epoch + 1, float(logs["loss"]), logs.get("val_loss"))

    def paced(_batch: int, _logs: Any) -> None:
        model = every.model
        model.optimizer.learning_rate = rate_at(pace.share, settings.schedule, settings.learning_rate)

    def stepped(_batch: int, _logs: Any) -> None:
        pace.step()
        every.model.stop_training |= pace.over

    every = callbacks.LambdaCallback(
        on_epoch_end=told, on_train_batch_begin=paced, on_train_batch_end=stepped
    )
    if not stops:
        return [every]
    patient = callbacks.EarlyStopping("val_loss", patience=settings.patience, restore_best_weights=True)
    return [every, patient]


def _maker(kind: str, *, convolutional: bool) -> Any:
    def make(asked: Asked) -> KerasNetwork:
        own = {"epochs": 12, "dropout": 0.3} if convolutional else {}
        without = (
            "shift",
            "smoothing",
            "precision",
            *(("width", "layers") if convolutional else ("channels",)),
        )
        settings = settings_for(asked, without, **own)
        return KerasNetwork(Task(asked, kind, settings), convolutional=convolutional)

    return make


KERAS = (
    Estimator(
        "keras-mlp",
        {kind: _maker(kind, convolutional=False) for kind in (CLASSES, NUMBERS)},
        MLP_SPACE,
        scaled=True,
        filled=True,
        paced=True,
        alone=True,
        module="keras",
        extra="keras",
    ),
    Estimator(
        "keras-cnn",
        {kind: _maker(kind, convolutional=True) for kind in (CLASSES, NUMBERS)},
        CNN_SPACE,
        filled=True,
        paced=True,
        alone=True,
        pixels=True,
        module="keras",
        extra="keras",
    ),
)
