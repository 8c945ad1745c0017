"""The demo: a real server, a real repository, and a stand-in for GitHub on this machine."""
