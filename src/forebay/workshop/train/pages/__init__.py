"""The report of a training: one HTML page with its pictures inside, which asks nobody for anything."""

from forebay.workshop.train.pages.page import Page, Picture

__all__ = ["Page", "Picture"]
