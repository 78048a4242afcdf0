"""Where models come from: one table, in the order in which it is asked.

A new source is a file beside this one that keeps the contract of `convert/contract.py`, and its line
here. The first that knows a model or reads a path takes it: what is built on something else (boosters
have scikit-learn's interface) stands before it.
"""

from __future__ import annotations

from pathlib import Path

from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.contract import Source
from forebay.workshop.convert.recognising import called
from forebay.workshop.convert.sources.catboost import CatBoost
from forebay.workshop.convert.sources.hugging_face import HuggingFace
from forebay.workshop.convert.sources.keras_model import Keras
from forebay.workshop.convert.sources.lightgbm import LightGBM
from forebay.workshop.convert.sources.onnx_file import OnnxFile
from forebay.workshop.convert.sources.openvino_ir import OpenVinoIr
from forebay.workshop.convert.sources.pickled import Pickled
from forebay.workshop.convert.sources.python_code import PythonCode
from forebay.workshop.convert.sources.saved_model import SavedModel
from forebay.workshop.convert.sources.scikit_learn import ScikitLearn
from forebay.workshop.convert.sources.skops_file import SkopsFile
from forebay.workshop.convert.sources.spark_ml import SparkMl
from forebay.workshop.convert.sources.tflite_file import TfliteFile
from forebay.workshop.convert.sources.torch_module import PyTorch
from forebay.workshop.convert.sources.vowpal_wabbit import VowpalWabbit
from forebay.workshop.convert.sources.xgboost import XGBoost
from forebay.workshop.convert.unreadable import why_unreadable

SOURCES: tuple[Source, ...] = (
    VowpalWabbit(),
    SparkMl(),
    XGBoost(),
    LightGBM(),
    CatBoost(),
    ScikitLearn(),
    SkopsFile(),
    OnnxFile(),
    TfliteFile(),
    OpenVinoIr(),
    Keras(),
    SavedModel(),
    HuggingFace(),
    PyTorch(),
    Pickled(),
    PythonCode(),
)


def source_of(model: object, otherwise: Source | None = None) -> Source:
    """Who knows *model*, or else *otherwise*; raises `Unsupported` where there is none."""
    for source in SOURCES:
        if source.knows(model):
            return source
    if otherwise is not None:
        return otherwise
    if isinstance(model, type):
        raise Unsupported(f"{model.__name__} is a class; publish what it makes: {model.__name__}(…)")
    raise Unsupported(f"nobody here converts a {called(model)}; {_known()}")


def reader_of(path: Path) -> Source:
    """Who reads *path*; raises `Malformed` where there is nothing and `Unsupported` for what nobody reads."""
    if not path.exists():
        raise Malformed(f"there is no {path}")
    for source in SOURCES:
        if source.reads(path):
            return source
    raise Unsupported(why_unreadable(path, _known()))


def _known() -> str:
    return f"models of {', '.join(source.name for source in SOURCES)} are"
