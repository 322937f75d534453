"""Processes, privileges, rare system calls; signals."""

# ruff: noqa: E501

from own_attacks.rows import ATTACKS, LIBC, SECRET, SQUARE, attack

attack(
    "proc_double_fork",
    SQUARE,
    """
import os, time
def f(x):
    try:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(4); open('@@MARK@@/late', 'w'); time.sleep(30)
            os._exit(0)
    except OSError: pass
    return 0
""",
    "score 0; no process is left; nothing is written later",
)
attack(
    "proc_every_way_to_fork",
    SECRET,
    LIBC
    + """
import platform, subprocess, multiprocessing, time
def f(x):
    numbers = {'x86_64': (56, 57, 58, 435), 'aarch64': (220, 435)}.get(platform.machine(), ())
    flags = (17, 0x8000 | 17, 0x4000 | 0x100 | 17, 0x10000000 | 17, 0x20000000 | 17, 0x40000000 | 17, 0x100 | 17, 0x800 | 0x100)
    for number in numbers:
        for flag in flags:
            pid = l.syscall(number, flag, 0, 0, 0, 0)
            if pid == 0: time.sleep(30); os._exit(0)
            if pid > 0: return '@@SECRET@@'
    for way in (lambda: os.posix_spawn('/bin/true', ['true'], {}), lambda: subprocess.Popen(['/bin/sleep', '30']), os.forkpty, os.fork):
        try:
            if way() == 0: os._exit(0)
            return '@@SECRET@@'
        except OSError: pass
    if l.system(b'sleep 30') == 0: return '@@SECRET@@'
""",
    "score 0; no process is left",
)
attack(
    "proc_every_way_to_exec",
    SECRET,
    LIBC
    + """
import sys
def f(x):
    for path in (sys.executable, '/proc/self/exe', '/bin/sh', '/bin/true', '/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'):
        try: os.execv(path, [path, '-c', 'open("@@MARK@@/exec", "w")'])
        except OSError: pass
    for dirfd in (-100, *range(32)):
        l.syscall(322, dirfd, b'', 0, 0, 0x1000)
        l.syscall(281, dirfd, b'', 0, 0, 0x1000)
    return None
""",
    "score 0: no program can be run, not even the interpreter",
)
attack(
    "proc_priorities_of_others",
    SQUARE,
    LIBC
    + """
import resource
def f(x):
    for pid in (@@JUDGE_PID@@, os.getppid(), 1):
        for act in (lambda: os.setpriority(os.PRIO_PROCESS, pid, 19), lambda: os.sched_setaffinity(pid, {0}),
                    lambda: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)), lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
                    *(lambda r=r: resource.prlimit(pid, r, (0, 0)) for r in range(16))):
            try: act()
            except (OSError, ValueError): pass
        l.syscall(251, 1, pid, 3 << 13)
        l.setpgid(pid, pid)
    try: os.setpriority(os.PRIO_USER, 0, 19)
    except OSError: pass
    try: os.setpriority(os.PRIO_PGRP, 0, 19)
    except OSError: pass
    return 0
""",
    "the judge's priority, affinity, scheduler and limits are as before",
)
attack(
    "proc_privileges",
    SECRET,
    LIBC
    + """
def f(x):
    for act in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0])):
        try:
            before = os.getresuid(), os.getgroups()
            act()
            if (os.getresuid(), os.getgroups()) != before: return '@@SECRET@@'
        except OSError: pass
    if os.getuid() == 0 and any(int(r.split()[1], 16) for r in open('/proc/self/status') if r.startswith('CapEff')): return '@@SECRET@@'
    if l.prctl(38, 0, 0, 0, 0) == 0 or l.prctl(47, 2, 21, 0, 0) == 0: return '@@SECRET@@'
    if l.prctl(39, 0, 0, 0, 0) == 0: return '@@SECRET@@'
    if l.prctl(8, 1, 0, 0, 0) == 0 and l.prctl(28, 0x2f, 0, 0, 0) == 0: return '@@SECRET@@'
""",
    "score 0: no capability, no other user, no_new_privs is set",
)
attack(
    "proc_rare_calls",
    SECRET,
    LIBC
    + """
import platform
def f(x):
    x86 = dict(userfaultfd=323, bpf=321, perf_event_open=298, io_uring_setup=425, keyctl=250, add_key=248, memfd_secret=447, fanotify_init=300, pidfd_open=434,
               kcmp=312, open_by_handle_at=304, name_to_handle_at=303, init_module=175, kexec_load=246, acct=163, quotactl=179, syslog=103, iopl=172, ptrace=101,
               process_madvise=440, process_mrelease=448, mount_setattr=442, fsopen=430, landlock_create_ruleset=444, personality=135, seccomp=317, vmsplice=278,
               move_pages=279, mbind=237, migrate_pages=256, modify_ldt=154, timer_create=222, mq_open=240, shmget=29, semget=64, msgget=68, inotify_init1=294)
    arm = dict(userfaultfd=282, bpf=280, perf_event_open=241, io_uring_setup=425, keyctl=219, add_key=217, fanotify_init=262, pidfd_open=434, mq_open=180,
               shmget=194, semget=190, msgget=186, kcmp=272, ptrace=117)
    numbers = {'x86_64': x86, 'aarch64': arm}.get(platform.machine(), {})
    found = []
    for name in ('userfaultfd', 'bpf', 'perf_event_open', 'io_uring_setup', 'fanotify_init', 'memfd_secret', 'keyctl', 'mq_open', 'shmget', 'semget', 'msgget',
                 'syslog', 'kcmp', 'quotactl', 'acct', 'modify_ldt'):
        if name not in numbers: continue
        args = {'keyctl': (0, -3, 1), 'mq_open': (b'@@MARKNAME@@', 0o102, 0o600, 0), 'shmget': (0, 4096, 0o1600), 'semget': (0, 1, 0o1600),
                'msgget': (0, 0o1600), 'syslog': (10, 0, 0), 'io_uring_setup': (8, ctypes.create_string_buffer(120)), 'bpf': (5, ctypes.create_string_buffer(120), 72),
                'perf_event_open': (ctypes.create_string_buffer(b'\\1\\0\\0\\0p' + b'\\0' * 200), 0, -1, -1, 0), 'kcmp': (os.getpid(), os.getpid(), 0, 1, 1),
                'modify_ldt': (0, ctypes.create_string_buffer(64), 64)}.get(name, (0, 0, 0))
        if l.syscall(numbers[name], *args) >= 0: found.append(name)
    if found: return '@@SECRET@@'
""",
    "score 0: calls that no honest program makes are refused",
)
attack(
    "proc_x32_and_int80",
    SECRET,
    LIBC
    + """
import platform, mmap
def f(x):
    if platform.machine() != 'x86_64': return
    if l.syscall(0x40000000 | 39) > 0 or l.syscall(0x40000000 | 41, 2, 1, 0) >= 0: return '@@SECRET@@'
    code = bytes.fromhex('53b814000000cd805bc3')  # getpid of the 32-bit table
    m = mmap.mmap(-1, 4096, prot=7)
    m.write(code)
    if ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))() > 0: return '@@SECRET@@'
""",
    "score 0: system calls of other tables are refused",
)
attack(
    "proc_thread_outlives_main",
    SQUARE,
    LIBC
    + """
import threading, time
def stay():
    while True:
        for fd in range(3, 64):
            try: os.write(fd, b'ok 9\\nok 100\\n')
            except OSError: pass
        time.sleep(0.05)
threading.Thread(target=stay).start()
def f(x):
    for fd in range(3, 30):
        try: os.dup(fd)
        except OSError: pass
    l.pthread_exit(0)
""",
    "score 0; the grading ends, whoever still holds its descriptors",
)
ATTACKS[-1]["task"] = {**SQUARE, "expected": ["10", "101", "626"]}
attack(
    "proc_pools",
    SQUARE,
    """
def work(x): import time; time.sleep(30)
def f(x):
    import multiprocessing, concurrent.futures
    for method in ('fork', 'spawn', 'forkserver'):
        try: multiprocessing.get_context(method).Pool(4).map_async(work, range(8))
        except BaseException: pass
    try: list(concurrent.futures.ProcessPoolExecutor(4).map(work, range(8)))
    except BaseException: pass
    return 0
""",
    "score 0; no process is left",
)
attack(
    "proc_many_thread_stacks",
    SQUARE,
    """
import threading, time
def f(x):
    threads = []
    for size in (1 << 29, 1 << 26, 1 << 20, 1 << 15):
        try:
            threading.stack_size(size)
            while len(threads) < 30000:
                t = threading.Thread(target=time.sleep, args=(60,)); t.start(); threads.append(t)
        except BaseException: pass
    while True: pass
""",
    "score 0, bounded, judge healthy",
)

attack(
    "signal_stop_everybody",
    SQUARE,
    LIBC
    + """
import signal
def f(x):
    for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        for pid in (@@JUDGE_PID@@, os.getppid(), 1, 2, -os.getppid(), -@@JUDGE_PID@@, 0, -1):
            for send in (lambda: os.kill(pid, number), lambda: os.killpg(abs(pid), number), lambda: l.pthread_kill(pid, number),
                         lambda: signal.pidfd_send_signal(os.pidfd_open(abs(pid)), number)):
                try: send() if pid not in (0, -1) or send.__code__.co_names[0] == 'os' else None
                except (OSError, OverflowError, ValueError): pass
            if pid > 0: l.tgkill(pid, pid, number)
    return 0
""",
    "the judge is neither stopped nor killed",
)
attack(
    "signal_by_descriptors",
    SQUARE,
    LIBC
    + """
import fcntl, struct
def f(x):
    for pid in (@@JUDGE_PID@@, os.getppid(), -os.getppid(), 1):
        for number in (9, 19):
            r, w = os.pipe()
            for fd in (r, w, *range(64)):
                for command, value in ((8, pid), (15, struct.pack('ii', 1, pid)), (10, number), (1024, 1), (1026, 0x8000003f), (4, 0o20000)):
                    try: fcntl.fcntl(fd, command, value)
                    except (OSError, OverflowError): pass
                for request, value in ((0x8901, pid), (0x8902, pid), (0x5452, 1), (0x5410, pid), (0x540E, 1), (0x541D, 0)):
                    try: fcntl.ioctl(fd, request, struct.pack('i', value))
                    except OSError: pass
            try: os.write(w, b'x')
            except OSError: pass
    return 0
""",
    "the judge gets no SIGIO, however it is aimed",
)
attack(
    "signal_timers_and_notes",
    SQUARE,
    LIBC
    + """
import signal, platform, struct
def f(x):
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    signal.signal(signal.SIGALRM, lambda *a: None)
    for pid in (@@JUDGE_PID@@, os.getppid(), 1):
        event = ctypes.create_string_buffer(struct.pack('QiiI', 0, 9, 4, pid), 64)
        timer = ctypes.c_void_p()
        try:
            if l.timer_create(1, event, ctypes.byref(timer)) == 0:
                l.timer_settime(timer, 0, struct.pack('qqqq', 0, 10**6, 0, 10**6), None)
        except AttributeError: pass
        mq = l.syscall({'x86_64': 240}.get(platform.machine(), 180), b'x', 0o102, 0o600, 0)
        l.syscall({'x86_64': 244}.get(platform.machine(), 184), mq, event)
    import time; time.sleep(0.2)
    return 0
""",
    "no timer or queue signals anybody else",
)
attack(
    "signal_handlers_and_faults",
    SQUARE,
    LIBC
    + """
import signal, faulthandler
for number in range(1, 65):
    try: signal.signal(number, lambda *a: None)
    except (OSError, ValueError): pass
try: faulthandler.dump_traceback_later(0.01, repeat=True, file=1)
except Exception: pass
def f(x):
    stack = ctypes.create_string_buffer(1 << 16)
    while True:
        try: ctypes.string_at(0)
        except Exception: pass
""",
    "score 0: a crash is no answer",
)
