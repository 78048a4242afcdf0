"""The story of one model, from data to a metered prediction. A longer life is one more step."""

from __future__ import annotations

import time
from decimal import Decimal
from statistics import quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from forebay.app.demo.pictures import bar, image, shades
from forebay.app.demo.smaller import compress
from forebay.app.demo.stage import Stage, Step, Whisper
from forebay.client import Hub, connect
from forebay.client.inference import curl_for
from forebay.client.results import NewKey, Usage, Version
from forebay.client.shown import bytes_text
from forebay.core import Array
from forebay.core.errors import NotReady

if TYPE_CHECKING:
    from forebay.workshop.convert import Converted

_MODEL = "digits"
_HIDDEN = (1024, 512)
_CALLS = 300
_SHOWN = slice(11, 12)  # the one held-out image that is shown
_BRIGHTEST = 16
_BAR = 32
_SHIPPED_WITHIN_S = 10.0


class Digits(NamedTuple):
    """Images of handwritten digits, 64 pixels a row; the test ones no training ever sees."""

    train: Array
    train_labels: Array
    test: Array
    test_labels: Array


class Calls(NamedTuple):
    """What an application has asked, and how fast it was answered."""

    requests: int
    accuracy: float
    p50_ms: float
    p99_ms: float


class Ending(msgspec.Struct, frozen=True):
    """What the story came to."""

    model: str
    version: int
    accuracy: float
    parity: dict[str, Any]
    compression: str
    served_accuracy: float
    latency_p50_ms: float
    latency_p99_ms: float
    requests: int
    cost: Decimal
    currency: str
    curl: str


def tell(stage: Stage, hub: Hub) -> Ending:
    """All of it, in order."""
    digits = load(stage)
    model, accuracy = train(stage, digits)
    converted = convert(stage, model, digits)
    original = publish(stage, hub, converted, accuracy)
    version = compress(stage, hub, original, digits.test, digits.test_labels)
    deploy(stage, hub, version)
    key = create_key(stage, hub)
    with connect(hub.url, key.secret) as application:
        served_accuracy = ask(stage, application, digits)
        times_ms = ask_again(stage, application, digits)
    usage = bill(stage, hub, key, requests=2 + len(times_ms))
    return Ending(
        model=version.model,
        version=version.version,
        accuracy=accuracy,
        parity=parity_of(converted),
        compression=version.sentence,
        served_accuracy=served_accuracy,
        latency_p50_ms=percentile(times_ms, 50),
        latency_p99_ms=percentile(times_ms, 99),
        requests=usage.total.requests,
        cost=usage.total.cost,
        currency=usage.currency,
        curl=curl_for(hub.node().url, key.secret, _MODEL, {"rows": digits.test[_SHOWN].astype(int)}),
    )


def load(stage: Stage) -> Digits:
    """Handwritten digits, which come with scikit-learn; half are held out, for proof takes many."""
    with stage.step("Load handwritten digits") as step:
        from sklearn.datasets import load_digits  # noqa: PLC0415 (heavy)
        from sklearn.model_selection import train_test_split  # noqa: PLC0415

        pixels, labels = load_digits(return_X_y=True)
        train, test, train_labels, test_labels = train_test_split(
            pixels, labels, test_size=0.5, stratify=labels, random_state=0
        )
        step.tell(
            f"{len(labels):,} images of 8 x 8 pixels: {len(train):,} to learn from, {len(test)} held out"
        )
        return Digits(train, train_labels, test, test_labels)


def train(stage: Stage, digits: Digits) -> tuple[Any, float]:
    """Scale the pixels, train, measure on the held-out images: scikit-learn, as in any notebook."""
    with stage.step("Train a classifier") as step:
        from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 (heavy)
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        step.at("a network of two hidden layers learns")
        network = MLPClassifier(_HIDDEN, tol=5e-3, n_iter_no_change=5, random_state=0)
        model = make_pipeline(StandardScaler(), network)
        model.fit(digits.train, digits.train_labels)
        accuracy = float(model.score(digits.test, digits.test_labels))
        step.tell(
            f"scikit-learn: StandardScaler, then MLPClassifier with {_HIDDEN[0]} and {_HIDDEN[1]} units"
        )
        step.tell(f"right on [bold]{accuracy:.1%}[/] of the {len(digits.test)} held-out images")
        return model, accuracy


def convert(stage: Stage, model: Any, digits: Digits) -> Converted:
    """To data that a server may load, with the proof that it still says the same."""
    with stage.step("Convert it to ONNX, and prove that it still answers the same") as step:
        from forebay.workshop.convert import convert as to_onnx  # noqa: PLC0415 (heavy)

        step.at("both answer the held-out images, and rows made to hurt")
        converted = to_onnx(model, digits.test)
        proof = parity_of(converted)
        differ = proof["rows_off"] + proof["edge_rows_off"]
        worst = proof["outputs"]["probabilities"]["max_difference"]
        step.tell(
            f"{proof['rows']} held-out images and {proof['edge_rows']} rows made to hurt: "
            f"[bold]{differ} differ[/] (by {worst:.0e} at most)"
        )
        return converted


def publish(stage: Stage, hub: Hub, converted: Converted, accuracy: float) -> Version:
    """The hub loads it, runs it, compares its signature, and gives it a number."""
    with stage.step("Publish it, with signature, card and lineage") as step:
        score = {"kind": "score", "split": "held-out", "metrics": {"accuracy": accuracy}}
        version = hub.publish(
            converted,
            _MODEL,
            lineage={"data": "sklearn.datasets.load_digits"},
            evidence=[score],
            progress=Whisper(step),
        )
        [taken], (label, shares) = version.signature.inputs, version.signature.outputs
        step.tell(f"[bold]{version}[/], {bytes_text(version.size_bytes)}, SHA-256 {version.digest[:12]}…")
        step.tell(
            f"takes {taken.name} {taken.datatype} {_shape(taken.shape)}; "
            f"gives {label.name} {label.datatype}, {shares.name} {shares.datatype} {_shape(shares.shape)}"
        )
        return version


def deploy(stage: Stage, hub: Hub, version: Version) -> None:
    """Ready means: a prediction has succeeded."""
    with stage.step("Deploy it") as step:
        found = hub.deploy(_MODEL, version, progress=Whisper(step))
        nodes = ", ".join(share.node for share in found.nodes)
        step.tell(f"{version} is loaded, warmed up, and answers on {nodes}")


def create_key(stage: Stage, hub: Hub) -> NewKey:
    """What an application gets: it may ask this one model, and nothing else."""
    with stage.step("Create a key for an application") as step:
        key = hub.keys.create("demo", role="inference", models=[_MODEL])
        step.tell(f"{key.id} may ask {_MODEL}, and nothing else; only its digest is kept")
        return key


def ask(stage: Stage, application: Hub, digits: Digits) -> float:
    """One held-out image that is shown, then all of them; the share of right answers."""
    with stage.step("Ask over HTTP about images that it has never seen") as step:
        [answer] = application.predict(_MODEL, digits.test[_SHOWN])
        [shown], [truth] = digits.test[_SHOWN].reshape(-1, 8, 8), digits.test_labels[_SHOWN]
        plain = [Text(line) for line in shades(shown, _BRIGHTEST)]
        step.show(_answered(image(shown, _BRIGHTEST), answer, truth), _answered(plain, answer, truth))
        step.at(f"{len(digits.test)} images in one request")
        right = application.predict(_MODEL, digits.test).labels == digits.test_labels
        step.tell(f"all {len(digits.test)} held-out images in one request: [bold]{right.mean():.1%}[/] right")
        return float(right.mean())


def ask_again(stage: Stage, application: Hub, digits: Digits) -> list[float]:
    """Milliseconds of many calls of one image each, one after the other."""
    with stage.step(f"Ask {_CALLS} times, one image a call") as step:
        times_ms = []
        for number in range(_CALLS):
            if number % 25 == 0:
                step.at(f"{number} of {_CALLS} answered")
            began_s = time.perf_counter()
            application.predict(_MODEL, digits.test[number % len(digits.test)])
            times_ms.append((time.perf_counter() - began_s) * 1000)
        p50_ms, p99_ms = percentile(times_ms, 50), percentile(times_ms, 99)
        step.tell(f"p50 [bold]{p50_ms:.2f} ms[/], p99 {p99_ms:.2f} ms, as this client sees it")
        return times_ms


def bill(stage: Stage, hub: Hub, key: NewKey, requests: int) -> Usage:
    """Each answered request is in the ledger, once."""
    with stage.step("Meter it, and say what it costs") as step:
        usage = _ledger(hub, key, requests, step)
        total = usage.total
        step.tell(
            f"{requests} requests answered, [bold]{total.requests}[/] in the ledger: "
            f"{total.rows} rows, {total.compute_s * 1000:.1f} ms of computing"
        )
        step.tell(f"under the plan '{usage.plan}' that is [bold]{total.cost:.6f} {usage.currency}[/]")
        return usage


def _ledger(hub: Hub, key: NewKey, requests: int, step: Step) -> Usage:
    """What the ledger says once the node has shipped its journal; raises `NotReady` if it never does."""
    give_up_s = time.monotonic() + _SHIPPED_WITHIN_S
    while True:
        usage = hub.usage("key")
        if any(row.group == key.id and row.requests >= requests for row in usage.items):
            return usage
        if time.monotonic() > give_up_s:
            raise NotReady(f"the node has not shipped its journal after {_SHIPPED_WITHIN_S:g} s")
        step.at("the node ships its journal")
        time.sleep(0.1)


def parity_of(converted: Converted) -> dict[str, Any]:
    """The evidence that source and converted model agree."""
    return next(entry for entry in converted.evidence if entry["kind"] == "parity")


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent do not exceed.

    >>> percentile([1.0, 2.0, 3.0], 50)
    2.0
    """
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join("n" if size == -1 else str(size) for size in shape)


def _answered(picture: list[Text], answer: dict[str, Any], truth: int) -> RenderableType:
    """The image, and beside it the three likeliest answers."""
    likeliest = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])[:3]
    verdict = Text.assemble(
        (f"It is a {answer['label']}.", "bold"), (f"  Its writer meant a {truth}.", "dim")
    )
    lines = [Text(), verdict, Text()]
    for name, share in likeliest:
        lines.append(Text.assemble(f"{name} ", (bar(share, _BAR), "cyan"), f" {share:6.1%}"))
    grid = Table.grid(padding=(0, 3))
    grid.add_row(Text("\n").join([*picture, Text()]), Text("\n").join(lines))
    return grid
