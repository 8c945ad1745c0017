"""The only door to git: objects read from bare or ordinary repositories, never a checkout, a hook or a filter.

`objects` reads, `change` makes a `Change` of two commits, `mirrors` keeps bare copies of repositories that GitHub holds.
"""
