"""`forebay demo`: the life of one model, told as a story of steps.

`own_forebay` is the place, `Stage` how it is told, `tell` the story. Nothing of it remains.
"""

from forebay.app.demo.place import own_forebay
from forebay.app.demo.stage import Stage
from forebay.app.demo.story import tell

__all__ = ["Stage", "own_forebay", "tell"]
