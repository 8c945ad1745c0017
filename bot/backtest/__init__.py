"""The past of a branch, as if Interlock had been there: what it would have stopped, how often, and for what."""
