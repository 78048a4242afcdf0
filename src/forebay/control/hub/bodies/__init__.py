"""What comes and goes in the bodies of the control API, one file a room, with examples that work."""
