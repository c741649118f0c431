"""One subcommand a file; each prints through cli.output and ends with a documented exit code."""
