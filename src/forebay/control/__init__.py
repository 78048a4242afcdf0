"""The control plane: what a hub knows, decides and keeps."""
