"""Smaller or faster for a stated loss, proved on rows that nothing has seen. Knows no tenant.

`search(model, rows, truth, keep="accuracy>=-0.5")` works in a notebook; `compress` is the same for an
artifact on disk, and goes on where it was when it is killed. `remake` follows an evidence's recipe again.

    keep/       the language of promises, the figures it speaks of, and the verdict
    parts       three disjoint parts of the data: tuning, choosing, proof
    steps/      what a candidate is made by, one page each, in one list
    recipes     steps in a row; teacher: the original, to be learned from
    learning/   fine-tuning and distillation of ONNX graphs, in torch
    measuring/  answers and costs through the lane of the engine; memory, energy, the machine
    trial       one candidate: made, judged at every batch size, timed beside the original
    searching   the order in which candidates are tried, and which is taken
    tried       what came of them, on disk line by line
    evidence    the document; report and pareto: the page; card: the same in Markdown
    tables      a table with a target, as rows
"""

from forebay.workshop.compress.card import card_of, front_rows
from forebay.workshop.compress.compression import EVIDENCE_NAME, REPORT_NAME, Compressed, compress
from forebay.workshop.compress.drafts import Source
from forebay.workshop.compress.evidence import Evidence
from forebay.workshop.compress.notebook import inputs_of, search, truth_of
from forebay.workshop.compress.parts import Rows
from forebay.workshop.compress.recipes import remake
from forebay.workshop.compress.report import page
from forebay.workshop.compress.searching import front
from forebay.workshop.compress.steps import STEPS, Step
from forebay.workshop.compress.tables import rows_of_table
from forebay.workshop.compress.wishes import Goal, Wish

__all__ = [
    "EVIDENCE_NAME",
    "REPORT_NAME",
    "STEPS",
    "Compressed",
    "Evidence",
    "Goal",
    "Rows",
    "Source",
    "Step",
    "Wish",
    "card_of",
    "compress",
    "front",
    "front_rows",
    "inputs_of",
    "page",
    "remake",
    "rows_of_table",
    "search",
    "truth_of",
]
