"""The `oncely` command: runs the local stack and talks HTTP to an api. Imports shared only."""
