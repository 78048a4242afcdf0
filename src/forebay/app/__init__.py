"""The one builder: settings, wiring, supervisor, doctor, command line. Nobody imports it."""
