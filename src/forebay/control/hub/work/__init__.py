"""The work that jobs do: what a child process does to a folder, and what the hub does before and after.

`python -m forebay.control.hub.work KIND STEP FOLDER` is a child. It reads `request.json` and the folders
of earlier steps, fills `STEP.part`, renames it to `STEP`, and tells its progress on standard output, one
JSON object a line. It sees neither the database nor a key, and ends with the hub.
"""
