"""Ports: taken ones are refused by the name of their setting, before anything is started."""

from __future__ import annotations

import errno
import socket

from forebay.core.errors import Conflict, ForebayError, Malformed


def claimed_port(host: str, port: int, option: str) -> int:
    """*port* if it is free on *host*, or a free one for 0; raises `Conflict` or `Malformed`.

    *option* is the port's option on the command line, `--hub-port` for instance.
    """
    variable = "FOREBAY" + option.replace("--", "_").replace("-", "_").upper()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _refusal(error, host, port, f"{option} or {variable}") from error
        found: int = probe.getsockname()[1]
    return found


def _refusal(error: OSError, host: str, port: int, setting: str) -> ForebayError:
    if error.errno == errno.EADDRINUSE:
        return Conflict(f"port {port} of {host} is taken by another program; choose another with {setting}")
    if error.errno == errno.EACCES:
        return Conflict(f"port {port} is reserved for root; choose one above 1023 with {setting}")
    return Malformed(f"nothing can listen on {host} ({error.strerror}); set --host or FOREBAY_HOST")
