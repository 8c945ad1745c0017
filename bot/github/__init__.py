"""The only door to the GitHub API: `client` sends, `calls` is the table of everything that is ever asked, with the permission it needs."""
