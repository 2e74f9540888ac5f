"""Starts a command that outlives us: ``python -m tools.cloud.daemon PIDFILE USER_ID GROUP_ID COMMAND...``.

The process writes its own pidfile before it becomes the command, so however early the one who asked for it is
killed, no process is ever left without a pidfile. USER_ID and GROUP_ID are -1 to stay who we are.
"""

import json
import os
import sys
from pathlib import Path

import psutil


def main(pidfile: Path, user_id: int, group_id: int, command: list[str]) -> None:
    """Forks, registers the child and turns it into the command; returns in the parent once it is registered."""
    registered, register = os.pipe()
    if os.fork():
        os.close(register)
        if not os.read(registered, 1):
            sys.exit(f"could not write {pidfile}")
        return

    os.setsid()
    process = psutil.Process()
    record = {"pid": process.pid, "create_time": process.create_time()}
    unfinished = pidfile.with_suffix(f".{process.pid}")
    unfinished.write_text(json.dumps(record))
    unfinished.replace(pidfile)
    os.write(register, b"1")
    if user_id >= 0:
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
