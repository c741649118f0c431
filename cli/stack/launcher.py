"""Runs between our process and each child: drops rights, ties the child's life to ours, becomes it.

A program of its own because code between fork and exec is unsafe in a process with threads.
Standard library only, started with -I -S: it costs about 15 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_NOT_EXECUTED = 127


def main(arguments: list[str]) -> None:
    """Expect: parent's pid, uid or -, gid or -, then the command."""
    parent, uid, gid, *command = arguments
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After the change of user, which clears the setting.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit(EXIT_NOT_EXECUTED)
    try:
        os.execv(command[0], command)  # noqa: S606 - the whole purpose
    except OSError as error:
        sys.stderr.write(f"cannot execute {command[0]}: {error}\n")
        sys.exit(EXIT_NOT_EXECUTED)


if __name__ == "__main__":
    main(sys.argv[1:])
