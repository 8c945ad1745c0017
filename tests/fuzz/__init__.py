"""Hostile input by the thousand: harnesses over everything that reads what a stranger wrote. `make fuzz` runs them."""
