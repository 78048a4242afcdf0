"""Folders as MLflow 3.17 writes them, around a model of iris."""

from __future__ import annotations

import json
from pathlib import Path

from sklearn.datasets import load_iris

X, Y = load_iris(return_X_y=True)
NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
MLMODEL = """\
flavors:
  {flavour}:
    code: null
    {place}: {file}
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.{flavour}
    python_version: 3.11.7
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: null
model_uuid: 60c79e6e469141709402dbedc70f91d6
prompts: null
run_id: 4b49266d7b954466a5882d4308f08239
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
signature:
  inputs: '[{{"type": "double", "name": "sepal length (cm)", "required": true}}, {{"type":
    "double", "name": "sepal width (cm)", "required": true}}, {{"type": "double", "name":
    "petal length (cm)", "required": true}}, {{"type": "double", "name": "petal width
    (cm)", "required": true}}]'
  outputs: '[{{"type": "tensor", "tensor-spec": {{"dtype": "int64", "shape": [-1]}}}}]'
  params: null
utc_time_created: '2026-11-25 20:14:54.413021'
"""


def described(folder: Path, flavour: str, place: str, file: str) -> Path:
    """All of a folder but the model, which belongs into its *file*."""
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_text(MLMODEL.format(flavour=flavour, place=place, file=file))
    rows = {"columns": NAMES, "data": X[::10].tolist()}
    (folder / "input_example.json").write_text(json.dumps(rows))
    (folder / "requirements.txt").write_text("mlflow==3.17.2\n")
    return folder
