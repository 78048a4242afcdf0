"""The data plane: what stands between a socket and a model."""
