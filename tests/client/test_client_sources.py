"""What may be published from a disk, and what is refused with the line to type."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

from forebay.client import NoProgress
from forebay.client.sources import How, source_of
from forebay.core import ArtifactInfo, Signature
from forebay.core.errors import ForebayError, Malformed, Unsupported


def publish(path: Path) -> Path:
    with source_of(path, How(), NoProgress()) as source:
        return source.folder


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "MODEL.PICKLE"])
def test_a_pickle_is_never_opened_and_the_line_to_type_is_said(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(Unsupported, match=r"forebay publish .* --trust; or load it yourself: .*joblib\.load"):
        publish(path)
    assert not (tmp_path / "pwned").exists()


def test_a_folder_with_its_description_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "forebay.json").write_bytes(ArtifactInfo(Signature((), ())).encode())
    assert publish(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda folder: folder / "absent", "there is no"),
        (lambda folder: folder, "is empty; models of"),
        (lambda folder: _file(folder / "model.xyz", b""), "is empty, and no model that anybody here reads"),
        (lambda folder: _file(folder / "forebay.json", b"{").parent, r"forebay\.json cannot be read"),
    ],
)
def test_what_is_no_artifact_is_refused_before_the_upload(make: object, match: str, tmp_path: Path) -> None:
    assert callable(make)
    with pytest.raises(ForebayError, match=match):
        publish(make(tmp_path))


def test_a_model_without_rows_to_prove_it_with_is_refused() -> None:
    with (
        pytest.raises(Malformed, match="pass sample="),
        source_of(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), How(), NoProgress()),
    ):
        pass


def _file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
