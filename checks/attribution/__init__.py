"""Who or what wrote a change, as far as there is evidence.

`signals.toml` holds the facts, `matching` compares them. The level `none` means that there is no evidence; it never means a person.
"""

from __future__ import annotations

from checks.attribution.matching import attribute

__all__ = ["attribute"]
