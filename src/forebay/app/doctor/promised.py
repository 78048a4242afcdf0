"""The check of promises: whether what answers has proved what its model keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.app.doctor.findings import Finding, Patient
from forebay.client.places import find_place
from forebay.client.results import Keep
from forebay.core.errors import ForebayError, NotFound

if TYPE_CHECKING:
    from forebay.client.hub import Hub


def check_promises(patient: Patient) -> Finding:
    """Whether every version that answers has proved what its model keeps."""
    from forebay.client.hub import Hub  # noqa: PLC0415 (NumPy comes with it)

    if patient.hub_url is None:
        return Finding.ok("there is no hub to ask")
    try:
        place = find_place(environ=patient.settings.environment())
        with Hub(place, patient.settings.project or None) as hub:
            kept = [_kept(hub, model.name) for model in hub.models()]
    except ForebayError as error:
        return Finding.warn(f"could not be asked for: {error}", "see what `hub` and `key` say")
    found = [each for each in kept if each is not None]
    broken = next((each for each in found if each.notes), None)
    if broken is not None:
        return Finding.warn(
            f"{broken.model} keeps {', '.join(broken.promises)}, and {broken.notes[0]}",
            f"deploy a version that proves it: `forebay compress {broken.model}:N …` makes one",
        )
    many = f"{len(found)} of {len(kept)} models" if found else "no model"
    return Finding.ok(f"{many} in this project must keep a promise, and nothing answers without proof")


def _kept(hub: Hub, model: str) -> Keep | None:
    try:
        return hub.keeps(model)
    except NotFound:
        return None  # it keeps nothing
