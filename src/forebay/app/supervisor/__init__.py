"""One home, its processes: started together, started again when they die, stopped together.

Promises: two supervisors never share a home; no child outlives its supervisor; what runs where stands in
`up.json`, and whether that still holds is decided by a lock, not by a process id.
"""

from forebay.app.supervisor.home import Home, Part, Running
from forebay.app.supervisor.parent import die_with_parent
from forebay.app.supervisor.ports import claimed_port
from forebay.app.supervisor.supervisor import Supervisor

__all__ = ["Home", "Part", "Running", "Supervisor", "claimed_port", "die_with_parent"]
