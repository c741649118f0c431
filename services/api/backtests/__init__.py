"""Backtests: routes, the task that looks for jobs, the child process that runs one."""
