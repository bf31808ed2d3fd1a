"""The system calls that code of answers may make, by architecture.

A list of what is allowed, not of what is refused: kernels get new calls, and what is forgotten must
be refused. It holds what Python needs for files, memory, threads, time, pipes and event loops; no
call that changes a file's mode, owner or times, starts a process, opens a socket to others, or
creates what outlives the process. Numbers are the kernel's (``asm/unistd_64.h`` and
``asm-generic/unistd.h``).
"""

from dataclasses import dataclass

_X86_64 = frozenset(
    {
        *range(26),  # read, write, open, stat, poll, mmap, signals, ioctl, select, ...
        *(28, 32, 33, 34, 35, 36, 37, 38, 39),  # madvise, dup, pause, sleep, timers, getpid
        # sendto, recvfrom, sendmsg, recvmsg, shutdown, getsockname, socketpair, options:
        # of pairs of sockets, which event loops wake themselves with
        *(44, 45, 46, 47, 48, 51, 53, 54, 55),
        *(
            60,
            61,
            63,
            72,
            73,
            74,
            75,
            77,
            78,
            79,
            80,
            81,
        ),  # exit, wait, fcntl, sync, folders
        *(82, 83, 84, 86, 87, 89),  # rename, mkdir, rmdir, link, unlink, readlink
        *(96, 97, 98, 99, 100, 102, 104, 107, 108, 110),  # times, limits, usage, ids
        *(127, 128, 130, 131, 186, 201, 202, 204),  # signals, gettid, time, futex, affinity
        *(217, 218, 228, 229, 230, 231, 232, 233),  # folders, clocks, exit_group, epoll
        *(257, 258, 262, 263, 264, 265, 267, 269, 270, 271),  # the same relative to folders
        *(
            273,
            281,
            290,
            291,
            292,
            293,
            295,
            296,
        ),  # robust list, epoll, eventfd, dup3, pipe2
        *(302, 316, 318, 324, 326, 332, 334),  # prlimit, renameat2, getrandom, statx, rseq
        *(436, 437, 439, 441),  # close_range, openat2, faccessat2, epoll_pwait2
    }
)
_AARCH64 = frozenset(
    {
        *(17, 19, 20, 21, 22, 23, 24, 25, 29, 32),  # getcwd, eventfd, epoll, dup, fcntl
        *(34, 35, 37, 38, 46, 48, 49, 50),  # mkdirat, unlinkat, linkat, renameat, folders
        *(56, 57, 59, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70),  # open, close, read, write
        *(
            72,
            73,
            78,
            79,
            80,
            82,
            83,
            93,
            94,
            96,
            98,
            99,
        ),  # select, stat, sync, exit, futex
        *(101, 102, 103, 113, 114, 115, 123, 124),  # sleep, timers, clocks, affinity
        *(132, 133, 134, 135, 136, 137, 139, 153, 160, 163, 165, 169),  # signals, times
        *(172, 173, 174, 175, 176, 177, 178, 179),  # ids, sysinfo
        *(199, 204, 206, 207, 208, 209, 210, 211, 212),  # pairs of sockets
        *(214, 215, 216, 222, 226, 233, 260, 261),  # memory, wait, prlimit
        *(276, 278, 283, 285, 291, 293, 436, 437, 439, 441),  # as above
    }
)


@dataclass(frozen=True)
class SystemCalls:
    """The calls of one architecture.

    Attributes:
        architecture: as seccomp names it.
        clone: number of the call that starts threads and processes; threads are allowed.
        clone3: number of its successor, which is said not to exist: a filter cannot read its flags.
        allowed: numbers of all other calls that are allowed.
    """

    architecture: int
    clone: int
    clone3: int
    allowed: frozenset[int]


BY_MACHINE = {
    "x86_64": SystemCalls(0xC000003E, 56, 435, _X86_64),
    "aarch64": SystemCalls(0xC00000B7, 220, 435, _AARCH64),
}
