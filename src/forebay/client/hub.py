"""A hub, as a notebook or a program holds it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from forebay.client.billing import PlansOf
from forebay.client.datasets import name_for
from forebay.client.door import BRIEF, Door
from forebay.client.evidence import compression_in, compression_of, report_of
from forebay.client.inference import ask_with_new_key, curl_for, predict, sample_rows
from forebay.client.invoices import InvoicesOf
from forebay.client.jobs import JobsOf, result_of
from forebay.client.keeping import KeepsOf
from forebay.client.limits import LimitsOf
from forebay.client.places import Place, find_place
from forebay.client.predictions import Predictions
from forebay.client.progress import Progress, progress_for
from forebay.client.publishing import Said, card_text, compress_request, start_publish, train_request
from forebay.client.results import (
    Alias,
    AuditEntry,
    AuditVerification,
    Deployment,
    Items,
    Job,
    Me,
    Model,
    Node,
    Usage,
    Verification,
    Version,
)
from forebay.client.rollout import Rollouts, WhichVersion, body_for, ref_of
from forebay.client.rows import Rows, rows_of
from forebay.client.scripts import script_request
from forebay.client.shown import Listing, moment_text
from forebay.client.sources import How
from forebay.client.tenancy import KeysOf, ProjectsOf
from forebay.client.wishes import check_wish, plain
from forebay.core import INFO_NAME, REPORT_NAME, ArtifactInfo, ModelRef
from forebay.core.errors import ForebayError, Malformed, NotFound, NotReady
from forebay.core.runs import Parameter

if TYPE_CHECKING:
    from forebay.workshop.train.training import Wishes

_LONG_S = 3600.0


def connect(url: str | None = None, key: str | None = None, project: str | None = None) -> Hub:
    """The hub at *url*, opened with *key*.

    What is left out comes from FOREBAY_URL, FOREBAY_KEY and FOREBAY_PROJECT, or, on the machine of
    `forebay up`, from what runs there; the project is the key's own if none is named. Raises
    `NotReady` when no hub answers and `Unauthenticated` when there is no key or a wrong one.
    """
    return Hub(find_place(url, key), project or os.environ.get("FOREBAY_PROJECT"))


class Hub:
    """One project of one hub; `forebay.connect` makes it.

    Everything that fails raises a `ForebayError` whose text says what to do.
    """

    def __init__(self, place: Place, project: str | None = None) -> None:
        self._place = place
        self._door = Door(place.url, place.key)
        self._node: Door | None = None
        self._node_knows_key = False
        try:
            self.me = self._door.ask("GET", "/api/v1/me", Me, patience=BRIEF)
        except ForebayError:
            self._door.close()
            raise
        self.project = project or self.me.project
        self.jobs = JobsOf(self._door, self.project)
        self.keeps = KeepsOf(self._door, self.project)
        self.keys = KeysOf(self._door, self.project)
        self.invoices = InvoicesOf(self._door, self.project)
        self.plans = PlansOf(self._door, self.project)
        self.limits = LimitsOf(self._door, self.project)
        self.projects = ProjectsOf(self._door)
        self._rollouts = Rollouts(self._door, self.project)
        self._models = f"/api/v1/projects/{self.project}/models"

    @property
    def url(self) -> str:
        """Where the hub answers."""
        return self._place.url

    def __repr__(self) -> str:
        return f"<Forebay hub at {self.url}, project {self.project}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._door.close()
        if self._node is not None:
            self._node.close()

    # -- models ------------------------------------------------------------------------------------

    def models(self) -> Listing[Model]:
        """The models of the project."""
        return Listing(self._door.ask("GET", self._models, Items[Model]).items)

    def versions(self, name: str) -> Listing[Version]:
        """The versions of one model, oldest first; raises `NotFound`."""
        return Listing(self._door.ask("GET", f"{self._models}/{name}/versions", Items[Version]).items)

    def show(self, name: str, version: WhichVersion = None) -> Version:
        """One version with its card, signature, lineage and evidence; the latest if none is named."""
        ref = ref_of(name, version)
        return self._door.ask("GET", f"{self._models}/{ref.model}/versions/{self._number(ref)}", Version)

    def report(self, name: str, version: WhichVersion = None) -> bytes:
        """The page with pictures of a training or a compression, in HTML; raises `NotFound`."""
        found = self.show(name, version)
        if compression_in(found.evidence):
            return report_of(compression_of(found.evidence))
        if not any(entry.path == REPORT_NAME for entry in found.files):
            raise NotFound(f"{found} has no report: only trainings and compressions write one")
        address = f"{self._models}/{found.model}/versions/{found.version}/files/{REPORT_NAME}"
        return self._door.send("GET", address).content

    def retire(self, name: str, version: WhichVersion = None) -> None:
        """Let nobody deploy this version any more; raises `Conflict` while it is deployed."""
        ref = ref_of(name, version)
        if ref.version is None and ref.alias is None:
            raise Malformed(f"which version of {ref.model}? write {ref.model}:1")
        self._door.send("DELETE", f"{self._models}/{ref.model}/versions/{self._number(ref)}")

    def aliases(self, name: str) -> Listing[Alias]:
        """The movable names of a model's versions, by name."""
        return Listing(self._door.ask("GET", f"{self._models}/{name}/aliases", Items[Alias]).items)

    def alias(
        self,
        name: str,
        alias: str,
        version: WhichVersion = None,
        *,
        protected: bool | None = None,
        override: str | None = None,
    ) -> int:
        """Let *alias* mean *version* from now on, and say which number that is.

        With *protected* it means, from now on, only versions that prove what the model keeps; None leaves
        that as it is. Raises `Conflict` with the figure for one that does not, unless a key that may
        overrides that with a reason.
        """
        ref = ref_of(name, version)
        number = self.show(str(ref)).version
        address = f"{self._models}/{ref.model}/aliases/{alias.removeprefix('@')}"
        asked = {"version": number, "protected": protected, "override": override}
        self._door.send("PUT", address, json={each: said for each, said in asked.items() if said is not None})
        return number

    def unalias(self, name: str, alias: str, *, override: str | None = None) -> None:
        """Let *alias* mean nothing any more; raises `NotFound`, and `Conflict` for a protected one."""
        address = f"{self._models}/{name}/aliases/{alias.removeprefix('@')}"
        self._door.send("DELETE", address, query={"override": override})

    def _number(self, ref: ModelRef) -> int:
        """The version's number; `NotFound` when the model has no such alias, or no version yet."""
        if ref.version is not None:
            return ref.version
        if ref.alias is not None:
            aliases = {entry.name: entry.version for entry in self.aliases(ref.model)}
            if ref.alias not in aliases:
                raise NotFound(f"{ref.model} has no alias {ref.alias!r}; it has {sorted(aliases) or 'none'}")
            return aliases[ref.alias]
        active = [entry.version for entry in self.versions(ref.model) if entry.state == "active"]
        if not active:
            raise NotFound(f"{ref.model} has no version that is not retired; publish one")
        return max(active)

    def publish(
        self,
        model: object,
        name: str,
        *,
        sample: Any = None,
        columns: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        into: Any = None,
        tolerance: float | None = None,
        keep_sample: bool | None = None,
        trust: bool | None = None,
        entry: str | None = None,
        requirements: Sequence[str] | None = None,
        card: str | Path | None = None,
        lineage: Mapping[str, Any] | None = None,
        evidence: Iterable[Mapping[str, Any]] = (),
        progress: bool | Progress | None = None,
    ) -> Version:
        """Make *model* the next version of *name*.

        *model* is what a framework fitted, or the path of a file or folder that it saved: it is converted
        here and proved on *sample* (real rows as its `predict` takes them), as `forebay.convert` says,
        where *columns*, *labels*, *into*, *tolerance*, *keep_sample*, *trust*, *entry* and *requirements*
        are explained. Or it is what `forebay.convert` returned, or the path of an artifact folder. *card* is
        Markdown (a `Path` is read); without one, a card is made from the signature and the evidence. Raises
        what `forebay.convert` raises, and `JobFailed` when the hub does not accept the artifact.
        """
        said = Said(card_text(card), lineage, evidence)
        how = How(sample, columns, labels, into, tolerance, keep_sample, trust, entry, requirements)
        with progress_for(progress) as shown:
            job = start_publish(self._door, self.project, name, model, how, said, shown)
            return self._made(self.jobs.follow(job.id, shown))

    def train(
        self,
        data: Any,
        target: Any = None,
        *,
        name: str | None = None,
        progress: bool | Progress | None = None,
        **wishes: Unpack[Wishes],
    ) -> Version:
        """Train at the hub and publish what comes out as the next version of *name*.

        *data* is the path of a CSV, Parquet or JSON Lines file or of a folder of pictures (a folder for
        each class), or a data frame, with *target* the name of the column to predict, or of several; or an
        array, with *target* the values. The other words are those of `forebay.train`: `task`, `estimator`,
        `time_budget_s`, … Raises `JobFailed`.
        """
        with progress_for(progress) as shown:
            name = name or _name_of(data)
            request = train_request(self._door, self.project, name, data, target, plain(wishes), shown)
            job = self.jobs.submit("train", request)
            return self._made(self.jobs.follow(job.id, shown))

    def compress(
        self,
        name: str,
        data: Any,
        target: Any = None,
        *,
        keep: str | None = None,
        goal: str = "latency",
        version: WhichVersion = None,
        slices: Sequence[str] = (),
        into: str | None = None,
        time_budget_s: float = 600.0,
        seed: int = 0,
        progress: bool | Progress | None = None,
    ) -> Version:
        """Look for a smaller or faster version that loses no more than *keep*, and make it the next one.

        Without *keep* it is what the model keeps (`hub.keeps`).

        *name* may be a version (`digits:1`); a name alone is its newest version that was not compressed.
        *data* and *target* are as `train` has them, but rows that the model has not learnt from; the target
        that it was trained for need not be named. *goal* is `latency`, `throughput`, `size`, `memory` or
        `energy`; *slices* are columns that promises may speak of; *into* is another model's name. The new
        version's `sentence` and `evidence` say what was proved. Raises `Malformed` for what is no promise,
        and `JobFailed` where nothing that is better keeps it: then there is no new version.
        """
        ref = ref_of(name, version)
        keep = ", ".join(self.keeps(ref.model).promises) if keep is None else keep
        check_wish(keep, goal, time_budget_s, seed)
        wish = {"keep": keep, "goal": goal, "time_budget_s": time_budget_s, "seed": seed}
        with progress_for(progress) as shown:
            place = {"model": str(ref), "slices": list(slices), "name": into or ""}
            request = compress_request(self._door, self.project, data, target, place | wish, shown)
            job = self.jobs.submit("compress", request)
            return self._made(self.jobs.follow(job.id, shown))

    def run(
        self,
        script: str | Path,
        *,
        name: str | None = None,
        arguments: Sequence[str] = (),
        parameters: Mapping[str, Parameter] | None = None,
        include: Iterable[str | Path] = (),
        progress: bool | Progress | None = None,
    ) -> Version | None:
        """Run a training script of your own at the hub, and give the version that it published, if it did.

        The script is started in a process of its own, with *arguments*; `forebay.run` gives it *parameters*,
        metrics, checkpoints and `publish`. The files and folders of *include* lie beside it. Packages that
        its block `# /// script` names (inline script metadata) are installed for it alone. Needs a key that
        may publish code, and a hub that runs scripts (FOREBAY_ALLOW_CODE). Raises `JobFailed`.
        """
        with progress_for(progress) as shown:
            path = Path(script)
            name = name or name_for(path)
            more = [Path(each) for each in include]
            request = script_request(
                self._door, self.project, path, name, arguments, parameters or {}, more, shown
            )
            job = self.jobs.submit("script", request)
            done = self.jobs.follow(job.id, shown)
            return self._made(done) if result_of(done) else None

    def _made(self, job: Job) -> Version:
        result = result_of(job)
        return self.show(result["model"], int(result["version"]))

    # -- deployments -------------------------------------------------------------------------------

    def deploy(
        self,
        name: str,
        version: WhichVersion = None,
        *,
        weights: Mapping[int, int] | None = None,
        batch_rows: int | None = None,
        batch_wait_s: float | None = None,
        queue_rows: int | None = None,
        cache_bytes: int | None = None,
        pin: bool = False,
        revision: int | None = None,
        override: str | None = None,
        wait: bool = True,
        timeout_s: float = 60.0,
        progress: bool | Progress | None = None,
    ) -> Deployment:
        """Let *name* answer with a version (the latest if none is named), or with several by weight.

        Waits until every node has answered a prediction with it, unless `wait=False`.
        `hub.deploy("digits", weights={1: 9, 2: 1})` sends a tenth of the requests to version 2. With
        *pin*, it stays in the memory of every node, whatever else wants the room. With
        *cache_bytes*, answers are kept in that much memory for those who ask the very same again. With the
        *revision* of a deployment that you have seen, it is refused (`Conflict`) if somebody was faster.
        So is a version that does not prove what the model keeps (`hub.keeps`), unless a key that may
        overrides that: *override* is the reason, for the audit.
        """
        ref = ref_of(name, version)
        limits = {
            "batch_rows": batch_rows,
            "wait_s": batch_wait_s,
            "queue_rows": queue_rows,
            "cache_bytes": cache_bytes,
        }
        body = body_for(ref, weights, limits, pin=pin)
        if override is not None:
            body["override"] = override
        asked = self._rollouts.put(ref.model, body, revision)
        if not wait:
            return asked
        with progress_for(progress) as shown:
            return self._rollouts.wait(ref.model, timeout_s, shown)

    def undeploy(self, name: str) -> None:
        """Answer nothing under *name* any more; its versions stay. Raises `NotFound`."""
        self._rollouts.delete(name)

    def deployments(self) -> Listing[Deployment]:
        """What every deployed name answers with."""
        return self._rollouts.all()

    def deployment(self, name: str) -> Deployment:
        """One deployment, and how far each node is with it; raises `NotFound`."""
        return self._rollouts.get(name)

    # -- predictions -------------------------------------------------------------------------------

    def predict(self, name: str, data: object) -> Predictions:
        """Ask the deployed *name* about *data*: an array, rows, records, or a data frame.

        `digits:2` and `digits@champion` ask one of several deployed versions. The answer has `labels`
        and `probabilities` of a classification, `values` of a regression, and each row as a dict.
        """
        ref = ModelRef.parse(name)
        path = f"/predict/{ref.model}"
        if ref != ModelRef(ref.model):
            path += f"/versions/{self._number(ref)}"
        node, rows = self.node(), rows_of(data)
        if self._node_knows_key:
            return predict(node, path, rows)
        answer = ask_with_new_key(lambda: predict(node, path, rows))
        self._node_knows_key = True
        return answer

    def sample(self, name: str, version: WhichVersion = None) -> Rows:
        """The real rows that were kept with a version; raises `NotFound` if there are none."""
        found = self.show(name, version)
        info = ArtifactInfo.decode(self._file(found, INFO_NAME))
        if not info.sample:
            raise NotFound(f"{found} was published without sample rows; pass rows of your own")
        return sample_rows(self._file(found, info.sample))

    def file(self, name: str, path: str, version: WhichVersion = None) -> bytes:
        """A file of a version, as `tokenizer.json` of a model of texts; raises `NotFound`."""
        return self._file(self.show(name, version), path)

    def _file(self, version: Version, path: str) -> bytes:
        address = f"{self._models}/{version.model}/versions/{version.version}/files/{path}"
        return self._door.send("GET", address).content

    def curl(self, name: str, data: object) -> str:
        """A shell line that asks *name* about *data*; it reads the key from where it lies."""
        body = next(rows_of(data).bodies(8))
        return curl_for(self.node().url, self._place.secret, name, body)

    def node(self) -> Door:
        """The node that answers predictions; raises `NotReady` while none is alive.

        A node knows a caller's project by their key alone, so another project needs a key of its own.
        """
        if self.project != self.me.project:
            raise Malformed(
                f"this key is answered for the project {self.me.project!r}; "
                f"make one of {self.project!r} with `forebay keys create --project {self.project}`"
            )
        if self._node is None:
            url = self.me.inference_url or self._door.ask("GET", "/api/v1/me", Me).inference_url
            if url is None:
                raise NotReady(f"no node of {self._place.url} is alive; `forebay node` starts one")
            self._node = Door(url, self._place.key, what="node")
        return self._node

    # -- looking after it --------------------------------------------------------------------------

    def usage(
        self, by: str = "model", *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> Usage:
        """What was used and what it costs, by model, key, version or day."""
        query = {"by": by, "since": moment_text(since), "until": moment_text(until)}
        return self._door.ask("GET", f"/api/v1/projects/{self.project}/usage", Usage, query=query)

    def verify_usage(self) -> Verification:
        """Let the hub read its whole ledger and say whether it is what the nodes wrote; takes a while."""
        return self._door.ask("GET", "/api/v1/usage/verification", Verification, timeout_s=_LONG_S)

    def audit(
        self, *, limit: int = 100, before: int | None = None, everywhere: bool = False
    ) -> Listing[AuditEntry]:
        """Who did what in the project, or *everywhere*, the newest first, from below number *before* on."""
        query = {"limit": limit, "before": before, "project": None if everywhere else self.project}
        return Listing(self._door.ask("GET", "/api/v1/audit", Items[AuditEntry], query=query).items)

    def verify_audit(self, known: str | None = None) -> AuditVerification:
        """Read the whole audit, and find what was altered, removed or added; *known* is an earlier head."""
        query = {"known": known}
        path = "/api/v1/audit/verification"
        return self._door.ask("GET", path, AuditVerification, query=query, timeout_s=_LONG_S)

    def export_audit(self, *, everywhere: bool = False) -> bytes:
        """Every deed in the project, or *everywhere*, oldest first, as JSON Lines."""
        query = {"project": None if everywhere else self.project}
        return self._door.send("GET", "/api/v1/audit/export", query=query, timeout_s=_LONG_S).content

    def nodes(self) -> Listing[Node]:
        """The nodes that this hub has heard of."""
        return Listing(self._door.ask("GET", "/api/v1/nodes", Items[Node]).items)


def _name_of(data: Any) -> str:
    if isinstance(data, str | Path):
        return name_for(Path(data))
    raise Malformed("say what the model is called: name='prices'")
