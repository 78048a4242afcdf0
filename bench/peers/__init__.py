"""Small servers of the same job, each written as its own documentation would write it.

They run in virtual environments of their own (`bench/requirements/`), so nothing here imports Forebay.
"""
