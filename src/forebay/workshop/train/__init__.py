"""Data in, a proved and described model out: tables, texts, series and pictures.

`train(data, target)` does all of it in one process. A job takes the same three steps apart:
`prepare` (look over, choose columns, split), `choose` (cross-validation on the training rows) and
`build` (fit, score on held-out rows, convert, write card and lineage). What passes from one step to
the next is data in a folder, never a pickle: `build` fits anew what `choose` has only named.
"""

from forebay.workshop.train.building import ARTIFACT, Report, Trained, load_report, save_built
from forebay.workshop.train.choosing import Chosen
from forebay.workshop.train.preparing import Prepared, prepare
from forebay.workshop.train.progress import Listener, Reporter
from forebay.workshop.train.reading import read
from forebay.workshop.train.recipe import STREAMED, Recipe
from forebay.workshop.train.steps import build, choose
from forebay.workshop.train.training import train

__all__ = [
    "ARTIFACT",
    "STREAMED",
    "Chosen",
    "Listener",
    "Prepared",
    "Recipe",
    "Report",
    "Reporter",
    "Trained",
    "build",
    "choose",
    "load_report",
    "prepare",
    "read",
    "save_built",
    "train",
]
