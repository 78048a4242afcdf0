"""The revisions. Each says its own number and the one before; none is changed once it is released."""
