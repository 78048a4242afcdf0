"""Code in a process of its own: whatever it does, the node goes on and the next batch is served."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from forebay.core import DataType, Signature, TensorSpec
from forebay.core.errors import Broken, Died, Forbidden, Malformed, NotReady
from forebay.serving.runtime import Backend, Budget, open_backend
from forebay.serving.runtime.apart import worker
from forebay.serving.runtime.process import ProcessBackend
from support.code_models import info_of, write_code

pytestmark = pytest.mark.slow

ONE = {"x": np.ones((1, 3), np.float32)}
ALLOWED = Budget(code=True, call_s=30.0, label="toy:1")
DOUBLE = """
    def predict(x):
        return 2 * x
"""
MOODY = """
    import os, signal, sys, time
    def predict(x):
        mood = int(x[0, 0])
        if mood == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        if mood == 8:
            os._exit(3)
        if mood == 9:
            import ctypes
            ctypes.string_at(0)
        if mood == 10:
            sys.exit("enough")
        if mood == 11:
            time.sleep(3600)
        if mood == 12:
            raise KeyError("column")
        if mood == 13:
            raise ValueError("13 brings bad luck")
        return 2 * x
"""


@contextmanager
def opened(folder: Path, budget: Budget = ALLOWED) -> Iterator[Backend]:
    backend = open_backend(folder, info_of(folder), budget)
    try:
        yield backend
    finally:
        backend.close()


def asked(backend: Backend, value: float) -> float:
    return float(backend.run({"x": np.full((1, 3), value, np.float32)}, ["y"])["y"][0, 0])


def until(true: Callable[[], object], what: str) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def pid_of(backend: Backend) -> int:
    assert isinstance(backend, ProcessBackend)
    assert backend._worker is not None
    return backend._worker.pid


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_function_answers_from_a_process_of_its_own(tmp_path: Path) -> None:
    with opened(write_code(tmp_path / "a", DOUBLE)) as backend:
        assert asked(backend, 21.0) == 42.0
        assert backend.apart
        assert pid_of(backend) != os.getpid()
        assert backend.apart_bytes > 10 << 20
        pid = pid_of(backend)
    assert gone(pid)
    assert backend.apart_bytes == 0
    with pytest.raises(Died, match="unloaded"):
        backend.run(ONE, ["y"])


@pytest.mark.parametrize("mood", [7, 8, 9, 10], ids=["SIGKILL", "os._exit", "segfault", "sys.exit"])
def test_a_batch_that_kills_its_process_is_told_and_the_next_one_is_served(tmp_path: Path, mood: int) -> None:
    with opened(write_code(tmp_path / "a", MOODY)) as backend:
        first = pid_of(backend)
        with pytest.raises(Died) as told:
            asked(backend, mood)
        words = {7: "killed by SIGKILL", 8: "exit code 3", 9: "killed by SIGSEGV", 10: "exit code 1"}
        assert words[mood] in str(told.value)
        assert asked(backend, 1.0) == 2.0
        assert pid_of(backend) != first
        assert backend.trouble == ""


def test_a_process_that_dies_between_two_batches_costs_no_answer(tmp_path: Path) -> None:
    with opened(write_code(tmp_path / "a", DOUBLE)) as backend:
        first = pid_of(backend)
        os.kill(first, signal.SIGKILL)
        until(lambda: gone(first), "it is dead")
        assert asked(backend, 3.0) == 6.0


def test_a_call_that_hangs_is_found_and_killed_while_another_lane_goes_on(tmp_path: Path) -> None:
    hasty = Budget(code=True, call_s=1.0)
    with (
        opened(write_code(tmp_path / "a", MOODY), hasty) as moody,
        opened(write_code(tmp_path / "b", DOUBLE)) as calm,
    ):
        asked(moody, 1.0)
        hung = pid_of(moody)
        told: list[Exception] = []

        def hang() -> None:
            try:
                asked(moody, 11)
            except Died as error:
                told.append(error)

        waiting = threading.Thread(target=hang)
        waiting.start()
        while waiting.is_alive():
            assert asked(calm, 1.0) == 2.0
        assert "did not answer within 1 s" in str(told[0])
        assert gone(hung)
        assert asked(moody, 5.0) == 10.0


def test_what_the_code_raises_is_its_own_mistake_but_for_a_value_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "forebay.model"), opened(write_code(tmp_path / "a", MOODY)) as backend:
        with pytest.raises(Malformed, match="refused its input: 13 brings bad luck"):
            asked(backend, 13)
        with pytest.raises(Broken, match="the model's code failed; the node's log has the details") as told:
            asked(backend, 12)
        assert "column" not in str(told.value)
        assert asked(backend, 2.0) == 4.0
        until(lambda: "toy:1 | KeyError: 'column'" in caplog.text, "the traceback in the log")


def test_what_the_code_prints_is_in_the_log_with_the_models_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = """
        import sys
        print("loading")
        def predict(x):
            print("to stderr\\x1b[31m", file=sys.stderr)
            return x
    """
    with (
        caplog.at_level(logging.INFO, "forebay.model"),
        opened(write_code(tmp_path / "a", source)) as backend,
    ):
        asked(backend, 1)
        until(lambda: "to stderr" in caplog.text, "what was printed")
    assert "toy:1 | loading" in caplog.text
    assert "toy:1 | to stderr [31m" in caplog.text


def test_a_class_is_made_once_and_finds_its_files_beside_it(tmp_path: Path) -> None:
    source = """
        from pathlib import Path
        from helper import loud

        class Model:
            def __init__(self):
                self.factor = float(Path("factor.txt").read_text())
                self.calls = 0

            def predict(self, x):
                self.calls += 1
                return loud(x) * self.factor + self.calls
    """
    folder = write_code(
        tmp_path / "a",
        source,
        entry="scoring:Model",
        files={"factor_txt": "3", "helper_py": "def loud(x):\n    return 10 * x\n"},
    )
    with opened(folder) as backend:
        assert (asked(backend, 1.0), asked(backend, 1.0)) == (31.0, 32.0)
    assert {path.name for path in (folder / "code").iterdir()} == {"scoring.py", "factor.txt", "helper.py"}


def test_several_inputs_outputs_and_text_arrive_as_the_signature_says(tmp_path: Path) -> None:
    signature = Signature(
        (TensorSpec("words", DataType.BYTES, (-1, 1)), TensorSpec("n", DataType.INT64, (-1, 1))),
        (TensorSpec("loud", DataType.BYTES, (-1, 1)), TensorSpec("size", DataType.INT32, (-1,))),
    )
    source = """
        import numpy as np
        def predict(n, words):
            assert all(type(word) is str for word in words.flat), words
            raw = words[0, 0].encode("utf-8", "surrogateescape")
            loud = np.array([[word.upper()] for word in words[:, 0]], dtype=object)
            return loud, np.array([len(raw)] * len(n))
    """
    words = np.array([["äh"], [b"\xff\x00"]], dtype=object)
    with opened(write_code(tmp_path / "a", source, signature)) as backend:
        got = backend.run({"words": words, "n": np.array([[1], [2]])}, ["loud", "size"])
    assert got["loud"].tolist() == [["ÄH".encode()], [b"\xff\x00"]]
    assert (got["size"].dtype.str, got["size"].tolist()) == ("<i4", [3, 3])


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def predict(x): return {'z': x}", "did not return"),
        ("def predict(x): return x[:, :2]", r"the shape \[1, 2\]"),
        ("def predict(x): return x.astype(str)", "returned <U"),
        ("def predict(x): return None", "returned object"),
    ],
)
def test_an_answer_that_breaks_the_signature_is_the_models_mistake(
    tmp_path: Path, source: str, sentence: str
) -> None:
    with opened(write_code(tmp_path / "a", source)) as backend, pytest.raises(Broken, match=sentence):
        backend.run(ONE, ["y"])


@pytest.mark.parametrize(
    ("source", "more", "sentence"),
    [
        ("import nosuchthing", {}, "ModuleNotFoundError: No module named 'nosuchthing'"),
        ("predict = 5", {}, "is int, no function"),
        ("def other(x): return x", {}, "has no attribute 'predict'"),
        ("import os; os._exit(4)", {}, "did not come up: it ended with exit code 4"),
        (DOUBLE, {"requirements_txt": "numpy>=99  # soon\n"}, r"numpy>=99 \(there is \d"),
        (DOUBLE, {"requirements_txt": "nosuchthing\n"}, r"nosuchthing \(there is none\)"),
        (DOUBLE, {"requirements_txt": "-r other.txt\n"}, "has the line '-r other.txt'"),
    ],
)
def test_code_that_cannot_be_loaded_says_why(
    tmp_path: Path, source: str, more: dict[str, str], sentence: str
) -> None:
    folder = write_code(tmp_path / "a", source, files=more)
    with pytest.raises(Malformed, match=sentence):
        open_backend(folder, info_of(folder), ALLOWED)


def test_requirements_that_are_met_are_no_hindrance(tmp_path: Path) -> None:
    wanted = "# ours\n\nNumPy>=1\nnosuchthing; python_version < '3'\n"
    with opened(write_code(tmp_path / "a", DOUBLE, files={"requirements_txt": wanted})) as backend:
        assert asked(backend, 1.0) == 2.0


def test_code_that_takes_too_long_to_load_is_given_up(tmp_path: Path) -> None:
    folder = write_code(tmp_path / "a", "import time\ntime.sleep(3600)")
    with pytest.raises(Malformed, match="did not come up: it did not answer within 1 s"):
        open_backend(folder, info_of(folder), Budget(code=True, start_s=1.0))


def test_a_node_runs_no_code_unless_it_is_told_that_it_may(tmp_path: Path) -> None:
    folder = write_code(tmp_path / "a", DOUBLE)
    with pytest.raises(Forbidden, match="FOREBAY_ALLOW_CODE=true"):
        open_backend(folder, info_of(folder), Budget())


def test_a_process_finds_nothing_of_the_nodes_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREBAY_KEY", "fb-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    source = """
        import json, os
        from pathlib import Path
        def predict(t):
            home = Path(os.environ["HOME"])
            (home / "cache").write_text("mine")
            return [json.dumps([dict(os.environ), os.getcwd(), str(home), os.listdir("/proc/self/fd")])]
    """
    text = Signature((TensorSpec("t", DataType.BYTES, (-1,)),), (TensorSpec("y", DataType.BYTES, (-1,)),))
    folder = write_code(tmp_path / "a", source, text)
    with opened(folder) as backend:
        got = backend.run({"t": np.array(["x"], dtype=object)}, ["y"])["y"][0].decode()
        environ, cwd, home, descriptors = json.loads(got)
        assert "secret" not in got
        assert set(environ) <= {
            "PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "HOME", "TMPDIR",
            "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
        }  # fmt: skip
        assert cwd == str(folder / "code")
        assert len(descriptors) <= 5
        assert Path(home, "cache").exists()
    until(lambda: not Path(home).exists(), "its folder is removed")


def test_a_process_that_leaks_is_replaced_before_it_takes_the_machine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = """
        kept = []
        def predict(x):
            kept.append(bytearray(b"x" * (int(x[0, 0]) << 20)))
            return x * len(kept)
    """
    leaky = Budget(code=True, memory_bytes=150 << 20, label="leaky:1")
    with (
        caplog.at_level(logging.INFO, "forebay.model"),
        opened(write_code(tmp_path / "a", source), leaky) as backend,
    ):
        first = pid_of(backend)
        assert [asked(backend, 10) for _ in range(3)] == [10, 20, 30]
        pids = set()
        for _ in range(20):
            asked(backend, 10)
            until(lambda: backend.apart_bytes, "there is a process again")
            assert backend.apart_bytes < 190 << 20
            pids.add(pid_of(backend))
        assert pids - {first}
    assert "a new process takes over" in caplog.text


def test_a_call_that_eats_memory_is_ended_while_it_runs(tmp_path: Path) -> None:
    source = """
        import time
        def predict(x):
            if x[0, 0] == 1:
                kept = [bytearray(b"x" * (1 << 20)) for _ in range(300)]
                time.sleep(3600)
            return x
    """
    with opened(write_code(tmp_path / "a", source), Budget(code=True, memory_bytes=200 << 20)) as backend:
        with pytest.raises(Died, match="MB of memory, and 200 MB are allowed"):
            asked(backend, 1)
        assert asked(backend, 2) == 2


def test_a_version_larger_than_its_limit_is_not_loaded(tmp_path: Path) -> None:
    folder = write_code(tmp_path / "a", "big = b'x' * (100 << 20)\ndef predict(x): return x\n")
    with pytest.raises(Malformed, match=r"it takes .* MB of memory, and 64 MB are allowed"):
        open_backend(folder, info_of(folder), Budget(code=True, memory_bytes=64 << 20))


def test_a_process_that_does_not_come_up_again_is_tried_less_and_less_and_says_so(tmp_path: Path) -> None:
    source = """
        import os
        from pathlib import Path
        if Path(__file__).with_name("broken").exists():
            os._exit(5)
        def predict(x):
            os._exit(6)
    """
    folder = write_code(tmp_path / "a", source)
    with opened(folder) as backend:
        (folder / "code" / "broken").touch()
        with pytest.raises(Died):
            asked(backend, 1)
        until(lambda: "does not stay up" in backend.trouble, "it says that it keeps dying")
        until(lambda: "4 times" in backend.trouble, "it counts")
        with pytest.raises(NotReady, match="exit code 5") as told:
            asked(backend, 1)
        assert told.value.retry_after_s
        (folder / "code" / "broken").unlink()
        until(lambda: not backend.trouble, "it comes up again")
        with pytest.raises(Died, match="exit code 6"):
            asked(backend, 1)


def test_a_process_that_says_what_no_model_says_is_ended(tmp_path: Path) -> None:
    source = """
        import os
        def predict(x):
            if x[0, 0] == 1:
                for each in os.listdir("/proc/self/fd"):
                    if os.path.exists(f"/proc/self/fd/{each}") or int(each) > 2:
                        try:
                            os.write(int(each), b"\\x00" * 7 + b"\\x40" + b"rubbish" * 100)
                        except OSError:
                            pass
            return x
    """
    with opened(write_code(tmp_path / "a", source)) as backend:
        with pytest.raises(Died, match="it said what no model says"):
            asked(backend, 1)
        assert asked(backend, 2) == 2


def test_what_the_code_has_started_ends_with_it(tmp_path: Path) -> None:
    source = """
        import subprocess
        def predict(x):
            return x * 0 + subprocess.Popen(["sleep", "3600"]).pid
    """
    with opened(write_code(tmp_path / "a", source)) as backend:
        grandchild = int(asked(backend, 1))
        assert not gone(grandchild)
    until(lambda: gone(grandchild), "the grandchild ends")


def test_what_a_killed_node_left_in_the_temporary_folder_is_removed_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    left = Path(tempfile.gettempdir(), f"forebay-model-{dead.pid}-left")
    ours = Path(tempfile.gettempdir(), f"forebay-model-{os.getpid()}-ours")
    try:
        left.mkdir()
        ours.mkdir()
        worker._sweep.cache_clear()
        with opened(write_code(tmp_path / "a", DOUBLE)):
            assert not left.exists()
            assert ours.exists()
    finally:
        shutil.rmtree(ours)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in a call that holds the interpreter"])
def test_no_process_outlives_a_node_that_is_killed(tmp_path: Path, busy: bool) -> None:
    source = """
        import ctypes
        def predict(x):
            if x[0, 0]:
                print("holding", flush=True)
                ctypes.PyDLL(None).sleep(3600)
            return x
    """
    folder = write_code(tmp_path / "a", source)
    script = f"""if True:
        import logging, sys, threading
        from pathlib import Path
        import numpy as np
        from forebay.serving.runtime import Budget, open_backend
        from forebay.core import ArtifactInfo
        logging.basicConfig(stream=sys.stdout, level="INFO")
        folder = Path({str(folder)!r})
        info = ArtifactInfo.decode((folder / "forebay.json").read_bytes())
        backend = []
        budget = Budget(code=True)
        opening = threading.Thread(target=lambda: backend.append(open_backend(folder, info, budget)))
        opening.start()
        opening.join()
        print("child", backend[0]._worker.pid, flush=True)
        backend[0].run({{"x": np.full((1, 3), {int(busy)}, np.float32)}}, ["y"])
        print("answered", flush=True)
        threading.Event().wait()
    """
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        child = 0
        for line in node.stdout:
            if line.startswith("child"):
                child = int(line.split()[1])
            if "holding" in line or "answered" in line:
                break
        assert not gone(child)
        node.kill()
    until(lambda: gone(child), "the process of the model ends with its node")
