"""The process that runs one answer's code; started by :mod:`modelsat.grading.sandbox` alone.

It imports nothing of this package, so that it starts in some hundredths of a second. It gives up
what the code must not have, then runs it: network and other processes (namespaces), files outside
its folder (Landlock), all system calls but those on a list (seccomp), memory, processor time, file
sizes (resource limits). Linux on x86-64 and arm64.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from typing import Any, NoReturn

PASSED, FAILED, UNAVAILABLE, OUT_OF_TIME = 0, 1, 100, 101  # exit codes
_CLONE_NEW = 0x10000000 | 0x40000000 | 0x20000000 | 0x08000000 | 0x00020000 | 0x04000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_FILTER = 1, 38, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # on every architecture
_LANDLOCK_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # number of file rights by ABI version
_READ = 0b1101  # execute, read file, read folder
_EPERM, _ENOSYS, _ALLOW, _ERRNO = 1, 38, 0x7FFF0000, 0x00050000
_CLONE_THREAD = 0x00010000
_FOLDER_MIB, _MAX_FILES = 64, 1000  # of all files together
_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """The kernel lacks what the sandbox needs."""


def main() -> NoReturn:
    """Read the request from stdin, enter the sandbox, and run the code in a process there."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # of the process that grades
    request = json.load(sys.stdin)
    try:
        if request["sandboxed"]:
            _unshare()
    except Unavailable as error:
        sys.stderr.write(str(error))
        sys.exit(UNAVAILABLE)
    child = os.fork()
    if child == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os._exit(_run(request))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        sys.exit(OUT_OF_TIME)
    sys.exit(code if code >= 0 else FAILED)


def _run(request: dict[str, Any]) -> int:
    try:
        if request["sandboxed"]:
            _mount_small_folder(request["folder"])
        _limit(request)
        if request["sandboxed"]:
            _restrict_files(request["folder"])
            _restrict_calls(request["calls"])
    except Unavailable as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        return UNAVAILABLE
    try:
        exec(compile(request["code"], "<answer>", "exec"), {"__name__": "__main__"})
    except BaseException as error:  # noqa: BLE001 - whatever the code raises, the tests failed
        # SystemExit as well: the tests come last and must be reached.
        sys.stderr.write(f"{type(error).__name__}: {str(error)[:200]}")
        sys.stderr.flush()
        return FAILED
    os.write(request["result"], request["token"].encode())
    return PASSED


def _unshare() -> None:
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEW) != 0:
        raise Unavailable(f"no user namespaces ({os.strerror(ctypes.get_errno())})")
    try:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except OSError as error:
        raise Unavailable(f"no user namespaces ({error.strerror})") from None


def _mount_small_folder(folder: str) -> None:
    """Put a file system of limited size, which ends with this process, over the folder."""
    private, no_devices_or_suid = 0x4000 | 0x40000, 0x2 | 0x4
    _libc.mount(None, b"/", None, private, None)
    options = f"size={_FOLDER_MIB}m,nr_inodes={_MAX_FILES},mode=700".encode()
    if _libc.mount(b"tmpfs", folder.encode(), b"tmpfs", no_devices_or_suid, options) != 0:
        raise Unavailable(f"no file system of its own ({os.strerror(ctypes.get_errno())})")


def _limit(request: dict[str, Any]) -> None:
    os.chdir(request["folder"])
    memory = request["memory_bytes"]
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, request["cpu_s"]),  # SIGXCPU, or SIGKILL where it is ignored
        (resource.RLIMIT_FSIZE, request["file_bytes"]),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _restrict_files(folder: str) -> None:
    """Allow reading Python and the system's libraries, and everything in one folder."""
    version = _libc.syscall(_LANDLOCK_CREATE, 0, 0, 1)
    if version < 1:
        raise Unavailable("no Landlock (Linux 5.13 or later)")
    rights = (1 << _LANDLOCK_RIGHTS[min(version, 5)]) - 1
    handled = struct.pack("Q", rights)
    ruleset = _libc.syscall(_LANDLOCK_CREATE, handled, len(handled), 0)
    if ruleset < 0:
        raise Unavailable(f"no Landlock ({os.strerror(ctypes.get_errno())})")
    readable = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/urandom"]
    readable += [sys.prefix, sys.base_prefix]
    for path, allowed in [*((path, _READ) for path in readable), (folder, rights)]:
        if not os.path.exists(path):
            continue
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not os.path.isdir(path):
            allowed &= 0b101  # rights of files: execute, read
        rule = struct.pack("<Qi", allowed & rights, opened)
        if _libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0) != 0:
            raise Unavailable(f"Landlock refuses {path} ({os.strerror(ctypes.get_errno())})")
        os.close(opened)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) != 0:
        raise Unavailable(f"Landlock fails ({os.strerror(ctypes.get_errno())})")
    os.close(ruleset)


def _restrict_calls(calls: dict[str, Any] | None) -> None:
    """Allow the system calls of :mod:`modelsat.grading.system_calls`; refuse all others."""
    if calls is None:
        raise Unavailable("the system calls of this architecture are not known")
    architecture, clone, clone3 = calls["architecture"], calls["clone"], calls["clone3"]
    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, _ERRNO | _EPERM)]
    program += [(load, 0, 0, 0), (equal, 0, 1, clone3), (give, 0, 0, _ERRNO | _ENOSYS)]
    # A thread is allowed, a process is not: the first argument says which.
    program += [(equal, 0, 4, clone), (load, 0, 0, 16), (any_bit, 1, 0, _CLONE_THREAD)]
    program += [(give, 0, 0, _ERRNO | _EPERM), (give, 0, 0, _ALLOW)]
    for call in calls["allowed"]:
        program += [(equal, 0, 1, call), (give, 0, 0, _ALLOW)]
    program.append((give, 0, 0, _ERRNO | _EPERM))
    packed = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, filter_, 0, 0) != 0:
        raise Unavailable(f"no seccomp ({os.strerror(ctypes.get_errno())})")


if __name__ == "__main__":
    main()
