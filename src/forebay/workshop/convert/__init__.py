"""From a trained model to a served format, each conversion proved against its source.

`convert(model, sample)` works in a notebook and knows no tenant. It returns a `Converted` that
answers like the model, on the sample and on rows made to hurt, or refuses and shows the worst row.
`verify(folder)` proves that an artifact from anywhere loads and answers as its `forebay.json` says.
"""

from forebay.workshop.convert.conversion import convert
from forebay.workshop.convert.converted import SAMPLE_NAME, Converted
from forebay.workshop.convert.parity import Different
from forebay.workshop.convert.verification import verify

__all__ = ["SAMPLE_NAME", "Converted", "Different", "convert", "verify"]
