"""The lab's data plane: its router and joint, which carry the traffic of boards, apart from the controller, which decides.

`ports` serves both. `process` is the program that does so in a process of its own: it outlives the controller that started it,
and the next one takes it over (`remote`). What both say to each other is in `wire`.
"""
