"""What a model name answers with, and the nodes that answer."""
