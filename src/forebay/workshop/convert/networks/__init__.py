"""What the sources of neural networks share: named tensors in, named tensors out, any number of rows.

`rows` makes named tensors of a sample, or of nothing; `edges` the rows made to hurt; `head` turns logits
into labels and probabilities; `tidy` gives an exported graph human names; `draft` ties it together.
"""

from forebay.workshop.convert.networks.draft import Network, draft_of
from forebay.workshop.convert.networks.rows import Expected, generated, named

__all__ = ["Expected", "Network", "draft_of", "generated", "named"]
