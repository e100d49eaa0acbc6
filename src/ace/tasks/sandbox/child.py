"""Program of the sandboxed process: `python -I -S -B child.py SECONDS MEMORY_MB`, the program on its stdin.

It confines itself, then runs the program. Nothing of ace is imported here: site packages are not on the path.
"""

import ctypes
import os
import resource
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000

REFUSED = (
    *("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "pty."),
    *("ctypes.", "webbrowser.", "urllib.", "http.", "ftplib.", "smtplib.", "signal.pthread_kill", "sys.addaudithook"),
    *("os.chmod", "os.chown", "os.link", "os.symlink", "sqlite3.enable_load", "sqlite3.load_extension", "syslog."),
)
"""Audit events (docs.python.org/3/library/audit_events.html) that end in a PermissionError, by their beginning."""
INSIDE_ONLY = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "shutil.")
"""Audit events that are allowed for the working folder alone."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def confine(seconds: int, memory_mb: int) -> None:
    """Limits, and a network namespace without any interface where the kernel gives one."""
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory_mb * 1024 * 1024),
        (resource.RLIMIT_FSIZE, 16 * 1024 * 1024),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    libc = ctypes.CDLL(None)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWNET)


def guard(folder: str) -> None:
    """An audit hook, which cannot be removed again."""
    realpath, commonpath, fspath, fsdecode = os.path.realpath, os.path.commonpath, os.fspath, os.fsdecode

    def within(path: object) -> bool:
        if isinstance(path, int):
            return True
        return commonpath([fsdecode(realpath(fspath(path))), folder]) == folder  # type: ignore[call-overload]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(flags, int) and flags & WRITING) or (isinstance(mode, str) and set(mode) & set("wax+"))
            if writes and not within(path):
                raise PermissionError(f"the sandbox refuses to write {path!r}")
        elif event == "import" and arguments[0] in ("ctypes", "_ctypes"):
            raise PermissionError("the sandbox refuses ctypes")
        elif event.startswith(REFUSED):
            raise PermissionError(f"the sandbox refuses {event}")
        elif event.startswith(INSIDE_ONLY):
            paths = [part for part in arguments if isinstance(part, (str, bytes, os.PathLike))]
            if not all(map(within, paths)):
                raise PermissionError(f"the sandbox refuses {event} outside its folder")

    sys.addaudithook(hook)


def main() -> None:
    """Confine this process, then run what stands on stdin."""
    source = sys.stdin.buffer.read().decode("utf-8", "surrogatepass")
    confine(int(sys.argv[1]), int(sys.argv[2]))
    for name in ("ctypes", "_ctypes", "resource"):
        sys.modules.pop(name, None)
    guard(str(Path.cwd().resolve()))
    exec(compile(source, "answer.py", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    main()
