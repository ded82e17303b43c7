"""What happens before and while a run runs: checks, hooks, checkpoints, the command-line tools.

Importing this package is cheap; import what you need from its modules.
"""
