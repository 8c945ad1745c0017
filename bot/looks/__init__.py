"""What is done for each kind of work besides a pull request itself: a commit, a merge group, a base branch, a deployment, an installation."""
