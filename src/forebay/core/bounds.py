"""What narrows a key beside its role: models, protocols, networks, time."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

PROTOCOLS = (
    *("api", "metrics", "oip", "oip-grpc", "rows", "tfs", "tfs-grpc"),
    *("mlflow", "sagemaker", "vertex", "azure"),
)
"""What a key may be narrowed to: `api` is the hub's, `metrics` a node's page, the others its doors."""


class Bounds(msgspec.Struct, frozen=True, omit_defaults=True):
    """What narrows a key beside its role; None leaves a thing open.

    `models` are names, or patterns with `*`; `networks` are CIDR ranges that the caller's address has to
    be in; `until_s` is the Unix time at which the key ends.
    """

    models: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    until_s: float | None = None


@lru_cache(maxsize=4096)
def covers(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of *patterns* takes in all that *name*, itself a name or a pattern, may stand for.

    >>> covers(("digits", "shop-*"), "shop-prices"), covers(("shop-*",), "shop-eu-*"), covers(("a-*",), "*")
    (True, True, False)
    """
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@lru_cache(maxsize=4096)
def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether *address* is in one of *networks*; an IPv4 address may come in IPv6's clothes.

    >>> is_within("::ffff:10.1.2.3", ("10.0.0.0/8",)), is_within("192.0.2.1", ("10.0.0.0/8", "fd00::/8"))
    (True, False)
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has no address
        return False
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network_of(network) for network in networks)


@lru_cache(maxsize=4096)
def network_of(text: str) -> IPv4Network | IPv6Network:
    """The range that *text* names; raises `ValueError`."""
    return ip_network(text)
