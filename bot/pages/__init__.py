"""The web pages: what was recorded, shown to those who may read the repository. Looking never writes, posts or asks GitHub to do anything."""
