"""The control API: every room of the control plane behind one HTTP door."""
