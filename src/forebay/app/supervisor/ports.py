"""Ports: taken ones are refused by the name of their setting, before anything is started."""

from __future__ import annotations

import errno
import secrets
import socket

from forebay.core.errors import Conflict, ForebayError, Malformed

_QUIET = range(20_000, 32_768)
"""Ports that systems do not give to outgoing connections, so that they are still free after a restart."""


def claimed_port(host: str, port: int, option: str) -> int:
    """*port* if it is free on *host*, or a free one for 0; raises `Conflict` or `Malformed`.

    *option* is the port's option on the command line, `--hub-port` for instance.
    """
    for _attempt in range(0 if port else 100):
        try:
            return claimed_port(host, secrets.choice(_QUIET), option)
        except Conflict:
            continue
    with bound_socket(host, port, option) as probe:
        found: int = probe.getsockname()[1]
    return found


def bound_socket(host: str, port: int, option: str) -> socket.socket:
    """A socket that holds *port* of *host*; raises as `claimed_port` does."""
    variable = "FOREBAY" + option.replace("--", "_").replace("-", "_").upper()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise _refusal(error, host, port, f"{option} or {variable}") from error
    return found


def _refusal(error: OSError, host: str, port: int, setting: str) -> ForebayError:
    if error.errno == errno.EADDRINUSE:
        return Conflict(f"port {port} of {host} is taken by another program; choose another with {setting}")
    if error.errno == errno.EACCES:
        return Conflict(f"port {port} is reserved for root; choose one above 1023 with {setting}")
    return Malformed(f"nothing can listen on {host} ({error.strerror}); set --host or FOREBAY_HOST")
