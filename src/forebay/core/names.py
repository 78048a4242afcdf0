"""Names, and what a person types to mean a version."""

from __future__ import annotations

import re

import msgspec

from forebay.core.errors import Malformed

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def checked_name(name: str, what: str = "model") -> str:
    """*name* itself, if it may name a project, a model, an alias or a deployment.

    >>> checked_name("digits")
    'digits'
    >>> checked_name("My Model")
    Traceback (most recent call last):
    forebay.core.errors.Malformed: 'My Model' is no model name; use a-z, 0-9, '.', '_' and '-', at most 63, \
starting with a letter or a digit
    """
    if not _NAME.fullmatch(name):
        raise Malformed(
            f"{name!r} is no {what} name; use a-z, 0-9, '.', '_' and '-', at most 63, "
            "starting with a letter or a digit"
        )
    return name


class ModelRef(msgspec.Struct, frozen=True):
    """A model, one of its versions, or one of its aliases.

    >>> ModelRef.parse("digits:3")
    ModelRef(model='digits', version=3, alias=None)
    >>> str(ModelRef.parse("digits@champion"))
    'digits@champion'
    """

    model: str
    version: int | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read `name`, `name:3` or `name@alias`; raises `Malformed`."""
        if "@" in text:
            model, _, alias = text.partition("@")
            return cls(checked_name(model), alias=checked_name(alias, "alias"))
        model, colon, version = text.partition(":")
        if not colon:
            return cls(checked_name(model))
        if not version.isascii() or not version.isdigit() or int(version) < 1:
            raise Malformed(f"{text!r} names no version; write {model}:1, {model}@alias or {model}")
        return cls(checked_name(model), version=int(version))

    def __str__(self) -> str:
        if self.alias is not None:
            return f"{self.model}@{self.alias}"
        return self.model if self.version is None else f"{self.model}:{self.version}"
