"""HTTP: parse, call, answer. No decision is made here, and no audio is read."""
