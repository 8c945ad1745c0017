"""The demonstration: the real server against a stand-in for GitHub, and the story of the pull request that caused an outage."""
