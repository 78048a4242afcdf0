"""Everything that can go wrong, and what the caller is told.

ForebayError
  Refused               4xx   the caller has to change something
    Malformed           400
    Unauthenticated     401
    Forbidden           403
    NotFound            404
    Slow                408   the request did not arrive in time
    Conflict            409
    TooLarge            413
    UnknownMedia        415
    Full                429   try again, a little later
      OverLimit         429   the caller has used up what a limit allows
    HeadersTooLarge     431
  Broken                5xx   we have to change something
    Unsupported         501
    Died                502   safe to try again
    NotReady            503   try again, a little later
    Late                504   the deadline has passed
    StorageFull         507
"""

from __future__ import annotations


class ForebayError(Exception):
    """Base of every error that a caller may see; `str(error)` is one sentence and says what to do."""

    status: int = 500
    title: str = "Internal error"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def code(self) -> str:
        """A stable machine-readable name: `NotFound` → `not-found`."""
        name = type(self).__name__
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class Refused(ForebayError):
    """The caller has to change something."""

    status = 400
    title = "Refused"


class Malformed(Refused):
    """What was sent cannot be read, or does not fit the signature."""

    title = "Malformed request"


class Unauthenticated(Refused):
    """No key, or one that names nobody."""

    status = 401
    title = "Not authenticated"


class Forbidden(Refused):
    """We know who is calling, and they may not."""

    status = 403
    title = "Forbidden"


class NotFound(Refused):
    """The name means nothing here."""

    status = 404
    title = "Not found"


class Slow(Refused):
    """The request did not arrive in time."""

    status = 408
    title = "Request timeout"


class Conflict(Refused):
    """The thing has changed, exists already, or is in use."""

    status = 409
    title = "Conflict"


class TooLarge(Refused):
    """The body is larger than this server takes."""

    status = 413
    title = "Body too large"


class UnknownMedia(Refused):
    """The body is of a kind that is not read here."""

    status = 415
    title = "Unknown media type"


class Full(Refused):
    """A queue or a limit is full; try again a little later."""

    status = 429
    title = "Too many requests"


class OverLimit(Full):
    """A limit of the key, the project or the model is used up; `standing` are pairs of header lines."""

    title = "Over the limit"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, standing: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.standing = standing


class HeadersTooLarge(Refused):
    """The request's headers are larger than this server takes."""

    status = 431
    title = "Headers too large"


class Broken(ForebayError):
    """We have to change something."""


class Unsupported(Broken):
    """Forebay does not do this (yet)."""

    status = 501
    title = "Not supported"


class Died(Broken):
    """What was working on the request died; it is safe to try again."""

    status = 502
    title = "Worker died"


class NotReady(Broken):
    """Not now: loading, draining, or a part that is needed is away."""

    status = 503
    title = "Not ready"


class Late(Broken):
    """The request's deadline has passed."""

    status = 504
    title = "Deadline exceeded"


class StorageFull(Broken):
    """The disk has no room left."""

    status = 507
    title = "Storage full"


def message_for(error: BaseException) -> str:
    """What the caller may read: our own sentences, and nothing of an unforeseen failure.

    >>> message_for(NotFound("no model 'digit'; there is 'digits'"))
    "no model 'digit'; there is 'digits'"
    >>> message_for(KeyError("/home/ada/secret"))
    'something went wrong here; the log has the details'
    """
    if isinstance(error, ForebayError):
        return str(error)
    return "something went wrong here; the log has the details"
