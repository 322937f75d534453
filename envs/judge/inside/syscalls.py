"""Numbers of system calls on x86-64 and aarch64, and which of them the sandbox lets through.

The numbers are those of the kernel's asm/unistd_64.h and asm-generic/unistd.h; a dash where an architecture does not
have the call. What is not named here is refused.
"""

from __future__ import annotations

#: The highest number when this table was made. Above are calls it can't know: "no such call", so that libraries
#: fall back; below, what is not let through is "not permitted".
LAST = 450

_MEMORY = """
brk 12 214, mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, msync 26 227
"""

_DESCRIPTORS = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
lseek 8 62, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24, fstat 5 80, ftruncate 77 46,
fsync 74 82, fdatasync 75 83, fallocate 285 47, fadvise64 221 223, getdents 78 -, getdents64 217 61, fcntl 72 25,
ioctl 16 29
"""

_OPENING = "open 2 -, openat 257 56"

_STATUS = "newfstatat 262 79, statx 332 291"

# truncate is not among them: Landlock before version 3 does not ask for it. What changes the mode, the owner or the
# times of a file is not either: Landlock never asks.
_PATHS = """
stat 4 -, lstat 6 -, access 21 -, faccessat 269 48, faccessat2 439 439, getcwd 79 17, chdir 80 49, fchdir 81 50,
mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276
"""

# Landlock never asks for these, which tell where a link of anybody's leads.
_LINKS = "readlink 89 -, readlinkat 267 78"

_WAITING = """
poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21,
epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, pipe 22 -, pipe2 293 59
"""

# Of sockets that are there already, and of pairs. None makes a socket that could reach anybody.
_SOCKETS = """
socketpair 53 199, sendto 44 206, recvfrom 45 207, shutdown 48 210, getsockname 51 204, getpeername 52 205,
getsockopt 55 209
"""

_TIME = """
clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101, gettimeofday 96 169,
time 201 -, times 100 153, getitimer 36 102, setitimer 38 103, alarm 37 -, restart_syscall 219 128
"""

_THREADS = """
clone 56 220, futex 202 98, set_robust_list 273 99, set_tid_address 218 96,
rseq 334 293, sched_yield 24 124, sched_getaffinity 204 123, exit 60 93, exit_group 231 94
"""

_SIGNALS = """
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigsuspend 130 133,
rt_sigtimedwait 128 137, sigaltstack 131 132, pause 34 -
"""

_ONESELF = """
getpid 39 172, getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177,
getgroups 115 158, getresuid 118 148, getresgid 120 150, getpgrp 111 -, getcpu 309 168, getrandom 318 278,
getrlimit 97 163, getrusage 98 165, prlimit64 302 261, sysinfo 99 179, umask 95 166, uname 63 160, prctl 157 167
"""

# What the zygote needs to make, confine and end the processes of programs, and to clean up after them.
_ZYGOTE = """
wait4 61 260, waitid 247 95, kill 62 129, pidfd_open 434 434, pidfd_send_signal 424 424, recvmsg 47 212,
sendmsg 46 211, memfd_create 319 279, chmod 90 -, fchmod 91 52, fchmodat 268 53, seccomp 317 277,
landlock_restrict_self 446 446
"""

_OTHERS = """
landlock_create_ruleset 444 444, landlock_add_rule 445 445,
pivot_root 155 41, clone3 435 435, openat2 437 437, copy_file_range 326 285, sendfile 40 71,
futex_waitv 449 449
"""


def _parse(*tables: str) -> dict[str, tuple[int | None, int | None]]:
    rows = [entry.split() for table in tables for entry in table.split(",")]
    return {name: (_number(x86_64), _number(aarch64)) for name, x86_64, aarch64 in rows}


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


_PLAIN = (_MEMORY, _DESCRIPTORS, _WAITING, _SOCKETS, _TIME, _THREADS, _SIGNALS, _ONESELF)

#: Name of a call: its number on x86-64 and on aarch64.
NUMBERS = _parse(*_PLAIN, _OPENING, _STATUS, _PATHS, _LINKS, _ZYGOTE, _OTHERS)

#: Calls of a program that name no file. Some are let through with certain arguments only, see `seccomp`.
PROGRAM = frozenset(_parse(*_PLAIN, _STATUS))

#: Calls of a program that name a file: where namespaces or Landlock say which files there are.
FILES = frozenset(_parse(_OPENING, _PATHS))

#: Calls of a program that say where a link leads: where namespaces say which links there are.
LINKS = frozenset(_parse(_LINKS))

#: Calls that the zygote keeps, and each program loses before it runs.
ZYGOTE = frozenset(_parse(_ZYGOTE))

#: Calls that are answered "no such call": libraries know another way. What they ask for stands in memory, where no
#: filter looks.
MISSING = frozenset(("clone3", "openat2", "copy_file_range", "sendfile", "futex_waitv"))
