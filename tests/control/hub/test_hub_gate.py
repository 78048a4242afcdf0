"""What a model keeps, over HTTP: set, proved, refused with the figure, overridden, written down."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from forebay.control.access import Role
from forebay.control.registry import VersionRecord
from support.artifacts import register
from support.evidence import DATA, ELSEWHERE, HERE, OTHER_DATA, finding, proof_of, report_of
from support.hub import RunningHub

MODELS = "/api/v1/projects/default/models/digits"
KEEP = f"{MODELS}/keep"
CHAMPION = f"{MODELS}/aliases/champion"
DIGITS = "/api/v1/projects/default/deployments/digits"
HARMFUL = finding(change=-0.8)
WHY = {"override": "for the fair on Saturday"}


@pytest.fixture(autouse=True)
def original(hub: RunningHub) -> VersionRecord:
    """Version 1 of `digits`, and a node that is alive."""
    hub.services.nodes.report(report_of())
    return register(hub.services.registry, hub.services.blobs, job="original")


@pytest.fixture
def add(hub: RunningHub, original: VersionRecord) -> Any:
    """Register a further version, with the evidence of a compression."""

    def further(job: str, *findings: dict[str, Any], **more: Any) -> int:
        proof = proof_of(original, job.encode(), *findings, **more)
        return register(hub.services.registry, hub.services.blobs, job=job, evidence=[proof]).version

    return further


def kept(client: httpx.Client, keep: str = "accuracy>=-0.5", **more: Any) -> dict[str, Any]:
    answer = client.put(KEEP, json={"keep": keep, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def deployed(client: httpx.Client, version: int, **more: Any) -> httpx.Response:
    return client.put(DIGITS, json={"targets": [{"version": version}], **more})


def told(answer: httpx.Response, status: int = 409) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def test_a_promise_is_set_and_shown(developer: httpx.Client) -> None:
    assert "'digits' keeps nothing yet" in told(developer.get(KEEP), 404)
    made = kept(developer, "accuracy >= -.5 ; recall[class = 8]>=-1", data=DATA)
    assert made["promises"] == ["accuracy>=-0.5", "recall[class=8]>=-1"]
    assert (made["data"], made["of"], made["protected"], made["notes"]) == (DATA, 1, [], [])
    assert developer.get(KEEP).json() == made


def test_a_promise_that_nobody_can_read_is_refused_with_what_to_write(developer: httpx.Client) -> None:
    for body, status, sentence in (
        ({"keep": "acuracy>=-0.5"}, 400, "did you mean 'accuracy'?"),
        ({"keep": ""}, 400, "write accuracy>=-0.5"),
        ({"keep": "accuracy>=-0.5", "data": "eval.parquet"}, 400, "is no SHA-256 digest"),
        ({"keep": "accuracy>=-0.5", "of": 7}, 404, "it has only version 1"),
        ({"keep": "accuracy>=-0.5", "reference": 1}, 400, "reference: Extra inputs"),
        ({}, 400, "keep: Field required"),
    ):
        assert sentence in told(developer.put(KEEP, json=body), status)
    assert developer.get(KEEP).status_code == 404


def test_a_deployment_takes_what_is_proved_and_refuses_what_is_not(developer: httpx.Client, add: Any) -> None:
    kept(developer, data=DATA)
    assert deployed(developer, 1).status_code == 200  # the original
    assert deployed(developer, add("good")).status_code == 200
    sentence = told(deployed(developer, add("harmful", HARMFUL)))
    assert "the deployment 'digits' refuses version 3 of 'digits'" in sentence
    assert "accuracy lost 0.8 points, 0.5 are allowed" in sentence
    assert developer.get(DIGITS).json()["targets"] == [{"version": 2, "alias": None, "weight": 1}]


def test_the_newest_version_and_a_tenth_of_the_traffic_are_no_ways_round(
    developer: httpx.Client, add: Any
) -> None:
    kept(developer)
    harmful = add("harmful", HARMFUL)
    assert "accuracy lost 0.8 points" in told(developer.put(DIGITS))
    shares = [{"version": 1, "weight": 9}, {"version": harmful, "weight": 1}]
    assert "accuracy lost 0.8 points" in told(developer.put(DIGITS, json={"targets": shares}))


def test_a_version_that_nothing_has_measured_is_refused(hub: RunningHub, developer: httpx.Client) -> None:
    kept(developer)
    register(hub.services.registry, hub.services.blobs, job="unmeasured")
    assert "it has no evidence of what it lost against version 1" in told(deployed(developer, 2))


NOT_OF_THIS: list[tuple[dict[str, Any], str]] = [
    ({"digest": "c" * 64}, "its evidence is of other bytes"),
    ({"source_digest": "c" * 64}, "against another original"),
    ({"data_digest": OTHER_DATA}, "it was measured on other data (eeeeeeeeeeee)"),
    ({"findings": []}, "has no figure for that"),
    ({"machine": {}}, "its evidence cannot be read"),
    ({"machine": msgspec.to_builtins(ELSEWHERE)}, "which has avx512_vnni besides"),
]


def test_evidence_that_is_not_of_this_is_refused(developer: httpx.Client, add: Any) -> None:
    kept(developer, data=DATA)
    for number, (more, sentence) in enumerate(NOT_OF_THIS):
        assert sentence in told(deployed(developer, add(f"no {number}", **more)))


def test_a_node_of_another_kind_has_to_measure_first(
    hub: RunningHub, developer: httpx.Client, add: Any
) -> None:
    kept(developer)
    hub.services.nodes.report(report_of("n2", ELSEWHERE))
    sentence = told(deployed(developer, add("good")))
    assert "measured on another kind of machine than the node 'n2', which lacks avx512_vnni" in sentence
    hub.services.nodes.remove("n2")
    assert deployed(developer, 2).status_code == 200


def test_a_node_that_joins_later_stops_nothing_and_is_told_of(
    hub: RunningHub, developer: httpx.Client, add: Any
) -> None:
    kept(developer)
    assert deployed(developer, add("good")).json()["notes"] == []
    hub.services.nodes.report(report_of("n2", ELSEWHERE))
    shown = developer.get(DIGITS).json()
    assert shown["targets"] == [{"version": 2, "alias": None, "weight": 1}]
    [note] = shown["notes"]
    assert note.startswith("version 2 goes on answering without proof: it was measured on another kind")


def test_without_a_node_nothing_is_proved_anywhere(
    hub: RunningHub, developer: httpx.Client, add: Any
) -> None:
    kept(developer)
    hub.services.nodes.remove("n1")
    assert "no node has said yet what kind of machine it is" in told(deployed(developer, add("good")))


def test_a_deployment_that_follows_an_alias_is_guarded_as_it_moves(developer: httpx.Client, add: Any) -> None:
    assert developer.put(CHAMPION, json={"version": 1}).status_code == 200
    assert developer.put(DIGITS, json={"targets": [{"alias": "champion"}]}).status_code == 200
    kept(developer)
    harmful, good = add("harmful", HARMFUL), add("good")
    sentence = told(developer.put(CHAMPION, json={"version": harmful}))
    assert sentence.startswith("the deployment 'digits' refuses version 2 of 'digits': accuracy lost 0.8")
    assert developer.put(CHAMPION, json={"version": good}).status_code == 200
    assert developer.get(DIGITS).json()["targets"][0]["version"] == good


def test_a_protected_alias_is_guarded_without_any_deployment(developer: httpx.Client, add: Any) -> None:
    assert "keeps no promise" in told(developer.put(CHAMPION, json={"version": 1, "protected": True}))
    kept(developer)
    assert developer.put(CHAMPION, json={"version": 1, "protected": True}).json()["protected"] is True
    assert developer.get(KEEP).json()["protected"] == ["champion"]
    sentence = told(developer.put(CHAMPION, json={"version": add("harmful", HARMFUL)}))
    assert "the alias 'champion' refuses version 2" in sentence
    assert developer.put(f"{MODELS}/aliases/experiment", json={"version": 2}).status_code == 200
    assert "is protected" in told(developer.delete(CHAMPION))


def test_what_answers_already_goes_on_and_the_answer_says_so(developer: httpx.Client, add: Any) -> None:
    assert deployed(developer, add("harmful", HARMFUL)).status_code == 200
    [note] = kept(developer)["notes"]
    assert note == ("version 2 goes on answering without proof: accuracy lost 0.8 points, 0.5 are allowed")
    assert developer.get(DIGITS).json()["notes"] == [note]
    assert developer.get("/api/v1/projects/default/deployments").json()["items"][0]["notes"] == [note]
    again = deployed(developer, 2, limits={"batch_rows": 8})  # only its limits change
    assert (again.status_code, again.json()["notes"]) == (200, [note])
    assert deployed(developer, 1).json()["notes"] == []
    assert "accuracy lost" in told(deployed(developer, 2))


def test_an_override_needs_its_own_permission_and_leaves_an_entry(
    hub: RunningHub, developer: httpx.Client, admin: httpx.Client, add: Any
) -> None:
    kept(developer)
    harmful = add("harmful", HARMFUL)
    assert "this key may not override" in told(deployed(developer, harmful, **WHY), 403)
    assert developer.get(DIGITS).status_code == 404
    assert "needs a reason" in told(deployed(admin, harmful, override=" "), 400)
    assert deployed(admin, harmful, **WHY).status_code == 200
    assert deployed(admin, harmful, **WHY).status_code == 200  # asked twice, as clients do
    found = [one for one in admin.get("/api/v1/audit").json()["items"] if "overridden" in one["action"]]
    [entry] = found  # although it was deployed twice
    me = admin.get("/api/v1/me").json()
    assert (entry["who"], entry["project"], entry["subject"]) == (me["key_id"], "default", "digits:2")
    assert entry["action"] == "gate.overridden"
    assert entry["detail"]["reason"] == "for the fair on Saturday"
    assert "accuracy lost 0.8 points, 0.5 are allowed" in entry["detail"]["refusal"]


def test_a_protected_alias_is_overridden_too(developer: httpx.Client, admin: httpx.Client, add: Any) -> None:
    kept(developer)
    developer.put(CHAMPION, json={"version": 1, "protected": True})
    harmful = add("harmful", HARMFUL)
    assert developer.put(CHAMPION, json={"version": harmful, **WHY}).status_code == 403
    assert admin.put(CHAMPION, json={"version": harmful, **WHY}).status_code == 200
    assert developer.delete(CHAMPION, params=WHY).status_code == 403
    assert admin.delete(CHAMPION, params=WHY).status_code == 204
    actions = [entry["action"] for entry in admin.get("/api/v1/audit").json()["items"]]
    rooms = [action for action in actions if action.startswith(("alias.", "gate.", "keep."))]
    assert rooms == ["alias.unprotected", "gate.overridden", "keep.set"]


def test_whoever_may_deploy_may_not_loosen_the_promise(developer: httpx.Client, admin: httpx.Client) -> None:
    kept(developer)
    looser = {"keep": "accuracy>=-50"}
    assert "keeps accuracy>=-0.5 against version 1 already" in told(developer.put(KEEP, json=looser))
    assert developer.put(KEEP, json=looser | WHY).status_code == 403
    assert developer.delete(KEEP, params=WHY).status_code == 403
    assert "override: Field required" in told(admin.delete(KEEP), 400)
    assert admin.put(KEEP, json=looser | WHY).json()["promises"] == ["accuracy>=-50"]
    assert admin.delete(KEEP, params=WHY).status_code == 204
    assert admin.get(KEEP).status_code == 404


def test_the_audit_is_for_those_who_may_read_it(
    hub: RunningHub, developer: httpx.Client, admin: httpx.Client
) -> None:
    for holder in (developer, hub.holder(Role.NODE), hub.holder(Role.INFERENCE)):
        assert "may not audit" in told(holder.get("/api/v1/audit"), 403)
    kept(developer)
    hub.services.access.create_project("lab")
    shown = admin.get("/api/v1/audit", params={"project": "default", "limit": 1}).json()["items"]
    assert [entry["subject"] for entry in shown] == ["digits"]
    assert shown[0]["action"] == "keep.set"
    older = admin.get("/api/v1/audit", params={"before": shown[0]["number"]}).json()["items"]
    assert all(entry["number"] < shown[0]["number"] for entry in older)
    of_lab = admin.get("/api/v1/audit", params={"project": "lab"}).json()["items"]
    assert [(entry["action"], entry["subject"]) for entry in of_lab] == [("project.created", "lab")]
    assert "no project 'attic'" in told(admin.get("/api/v1/audit", params={"project": "attic"}), 404)


def test_a_node_shows_what_kind_of_machine_it_is(developer: httpx.Client) -> None:
    [node] = developer.get("/api/v1/nodes").json()["items"]
    assert node["machine"] == msgspec.json.decode(msgspec.json.encode(HERE))
