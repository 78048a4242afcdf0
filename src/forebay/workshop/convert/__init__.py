"""From a trained model to a served format, each conversion proved against its source.

`convert(model, sample)` works in a notebook and knows no tenant; the model may be a path as well. It
returns a `Converted` that answers like the model, on the sample and on rows made to hurt, or refuses and
shows the worst row. `verify(folder)` proves that an artifact from anywhere loads and answers as its
`forebay.json` says.

How it is made, one file a subject:

    sources/__init__   the table: who recognises a model in memory, a file, a folder
    contract           what a source promises (`Source`), and what it hands on (`Draft`)
    sources/…          one file a source: model → draft
    proof              draft → proved `Converted`, the same for all
    apart, trusted     files that are code: loaded only with their owner's word, in a child process
    tabular            what the sources of tabular models share
"""

from forebay.workshop.convert.contract import Draft, Given, Source
from forebay.workshop.convert.conversion import convert
from forebay.workshop.convert.converted import SAMPLE_NAME, Converted
from forebay.workshop.convert.parity import Different
from forebay.workshop.convert.verification import verify

__all__ = ["SAMPLE_NAME", "Converted", "Different", "Draft", "Given", "Source", "convert", "verify"]
