"""The demo: a regional government lives a month of its life, through the public APIs alone.

`acting` calls as the persons of `cast`; `foundation`, `budgeting`, `employment` and `purchasing` are the acts of the
story, in their order; `closing` reads the books and shows them; `story` puts it together.
Every request id is derived from its step's name, so a second run repeats the first one's answers and changes nothing.
"""
