"""One version, one process, one batch: the `Backend` contract and its implementations.

No asyncio and no HTTP in here, so that a notebook, a job and a node run a model in the same way.

`onnxruntime` and `openvino` compute in this process. `python` computes in a process of its own, which
is started again when it dies, hangs or grows too large. Its artifact is a `.pt2` of torch.export
(`"model": "model.pt2"`, no `entry`), or its owner's code, and then it looks like this:

    forebay.json            "backend": "python", "entry": "scoring:predict", "model": "code/scoring.py",
                            and the signature, which nobody can guess from a function
    code/                   the owner's folder, as it was: the process starts in it, with it on its path
    code/scoring.py         the module (or code/scoring/__init__.py) that the entry names
    code/requirements.txt   if there is one, it is compared with what is installed here; nothing is installed
    code/…                  weights, vocabularies, further modules

The entry is a function, or a class that is made once, without arguments, and has a method `predict`.
It is called with one keyword argument for each input of the signature: arrays of the declared datatype
and shape, the batch first; text is an object array of `str` (bytes that are no UTF-8 come with
surrogate escapes). It returns an array for a signature with one output, a dictionary by name or a
tuple in the signature's order for several. A `ValueError` tells the caller that the input is wrong;
anything else is logged and is the model's own mistake. It may not write into its folder, finds an
empty folder in $HOME and $TMPDIR, and nothing of the node's environment.
"""

from forebay.serving.runtime.backend import Backend, Budget, Opener, open_backend, opener_of

__all__ = ["Backend", "Budget", "Opener", "open_backend", "opener_of"]
