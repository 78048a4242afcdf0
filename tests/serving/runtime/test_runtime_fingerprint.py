"""What a machine says of itself: what decides how it computes, and what only decides how fast."""

from __future__ import annotations

from pathlib import Path

from forebay.core import MachineKind
from forebay.serving.runtime.fingerprint import fingerprint, machine_kind

X86 = (
    "model name\t: A processor\nflags\t\t: fpu avx2 avx512f avx512_vnni\n\n"
    "model name\t: Another\nflags\t: fpu\n"
)
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


def root_with(folder: Path, cpuinfo: str) -> Path:
    (folder / "proc").mkdir(parents=True)
    (folder / "proc" / "cpuinfo").write_text(cpuinfo)
    return folder


def test_the_instructions_that_low_precision_lives_on_are_told(tmp_path: Path) -> None:
    assert machine_kind(root_with(tmp_path / "x86", X86)).features == ("avx2", "avx512f", "avx512_vnni")
    assert machine_kind(root_with(tmp_path / "arm", ARM)).features == ("asimd", "asimddp", "i8mm")


def test_a_machine_without_such_a_file_has_no_features_to_tell(tmp_path: Path) -> None:
    assert machine_kind(tmp_path).features == ()


def test_processor_and_cores_belong_to_the_fingerprint_and_not_to_the_kind(tmp_path: Path) -> None:
    told = fingerprint(root_with(tmp_path, X86))
    assert told["processor"] == "A processor"
    kind = machine_kind(tmp_path)
    assert kind == MachineKind(kind.architecture, kind.features, kind.packages)
    assert {"processor", "cores", "memory_bytes", "system"} == set(told) - set(kind.__struct_fields__)


def test_two_looks_at_the_same_machine_find_the_same_kind() -> None:
    assert machine_kind().unlike(machine_kind(), "onnxruntime") == ""
    assert {"onnxruntime", "python"} <= set(machine_kind().packages)
