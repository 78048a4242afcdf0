"""The routes of the control API, one file a room."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
"""Each room's router; `application` includes them in this order."""
