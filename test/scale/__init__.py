"""`make scale`: thousands of Workspaces at once, with the daemons as they are deployed."""
