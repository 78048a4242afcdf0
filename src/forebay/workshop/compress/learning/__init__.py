"""Teaching an ONNX graph: it is run in torch node by node, and its weights are written back.

No export and no import between frameworks: the graph that was pruned is the graph that learns.
"""

from forebay.workshop.compress.learning.lessons import Lessons
from forebay.workshop.compress.learning.teaching import MATCHED, teach

__all__ = ["MATCHED", "Lessons", "teach"]
