"""The sandbox by itself: what the kernel refuses a confined program, tier by tier, as root and as an ordinary user."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from textmdp.envs.judge import tiers
from textmdp.envs.judge.tiers import LAYERS, TIERS

if sys.platform != "linux":
    pytest.skip("the sandbox is Linux's", allow_module_level=True)

from textmdp.envs.judge.inside import linux, syscalls

NOBODY = 65534
USERS = ["root", "user"] if os.geteuid() == 0 else ["user"]
WITH_FILES = [tier for tier in TIERS if tier != "C"]

#: Runs in the interpreter that becomes the zygote: confines itself, then runs a body, with `child` to confine a child.
HARNESS = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
import ctypes, errno, fcntl, mmap, resource, signal, socket, threading
from inside import preload, sandbox
layers = sandbox.Layers(*(digit == "1" for digit in sys.argv[2]))
canary, port, trainer = sys.argv[3], int(sys.argv[4]), os.getppid()
body = sys.stdin.read()
preload.preload(preload.USUAL if sandbox.can_import(layers) else preload.ALL)
sandbox.confine_zygote(layers, {1, 2})
libc = ctypes.CDLL(None, use_errno=True)

def raw(number, *arguments):
    if libc.syscall(*(ctypes.c_long(a) for a in (number, *arguments))) == -1:
        raise OSError(ctypes.get_errno(), "raw")

def child(function, limits=sandbox.Limits(cpu=2, memory=1 << 30)):
    # What a function gives in a confined child, and how the child ended.
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            sandbox.confine_program(sandbox.confinement(limits))
            os.write(writing, json.dumps(function()).encode())
        except BaseException as error:
            os.write(writing, json.dumps(repr(error)).encode())
        os._exit(0)
    os.close(writing)
    text = b""
    while part := os.read(reading, 1 << 16):
        text += part
    status = os.waitpid(pid, 0)[1]
    os.close(reading)
    return json.loads(text or "null"), status

exec(compile(body, "<body>", "exec"))
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture(scope="module")
def public():
    """A copy of the code that an ordinary user can read, with a canary that anybody may read and write."""
    with tempfile.TemporaryDirectory(prefix="textmdp-test-") as folder:
        os.chmod(folder, 0o777)
        shutil.copytree(Path(linux.__file__).parent, f"{folder}/inside", ignore=shutil.ignore_patterns("__pycache__"))
        canary = Path(folder, "canary")
        canary.write_text("secret")
        canary.chmod(0o666)
        yield Path(folder)


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as service:
        yield service.getsockname()[1]


def interpreter(user):
    """An interpreter that the user can execute: ours may be below root's home."""
    if user == "root" or os.geteuid() != 0:
        return sys.executable
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        command = [path, "-I", "-S", "-c", "import sys, ctypes; sys.exit(sys.version_info < (3, 10))"]
        try:
            if subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True).returncode == 0:
                return path
        except OSError:
            pass
    pytest.skip("no interpreter from 3.10 that an ordinary user can execute")


def become(user):
    ordinary = user == "user" and os.geteuid() == 0
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if ordinary else {}


def run(layers, user, public, body, port=1):
    """What a body prints as JSON, in a zygote under these layers."""
    digits = "".join("01"[layer] for layer in layers)
    command = [
        interpreter(user),
        "-I",
        "-S",
        "-B",
        "-c",
        HARNESS,
        str(public),
        digits,
        str(public / "canary"),
        str(port),
    ]
    done = subprocess.run(
        command,
        input=textwrap.dedent(body),
        capture_output=True,
        text=True,
        timeout=60,
        env={"SECRET": "secret"},
        **become(user),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=USERS)
def user(request):
    return request.param


@pytest.fixture(params=TIERS)
def tier(request):
    finding = tiers.examine(request.param)
    if not finding.reached:
        pytest.skip(f"this machine lacks tier {request.param}: {finding.problem}")
    return request.param


@pytest.fixture(params=WITH_FILES)
def tier_with_files(request):
    finding = tiers.examine(request.param)
    if not finding.reached:
        pytest.skip(f"this machine lacks tier {request.param}: {finding.problem}")
    return request.param


#: On x86-64, newer kernels let these past every filter, and kill whoever calls them from elsewhere than a trampoline.
UPROBES = {335, 336}

REFUSED = """
folder = os.path.dirname(canary)
attempts = {
    "read": lambda: os.open(canary, os.O_RDONLY),
    "read by libc": lambda: raw_open(),
    "write": lambda: os.open(canary, os.O_WRONLY),
    "empty while reading": lambda: os.open(canary, os.O_RDONLY | os.O_TRUNC),
    "empty with no access": lambda: os.open(canary, 3 | os.O_TRUNC),
    "truncate": lambda: os.truncate(canary, 0),
    "chmod": lambda: os.chmod(canary, 0o777),
    "chown": lambda: os.chown(canary, os.getuid(), -1),
    "utime": lambda: os.utime(canary),
    "setxattr": lambda: os.setxattr(canary, "user.x", b"x"),
    "unlink": lambda: os.unlink(canary),
    "rename": lambda: os.rename(canary, folder + "/moved"),
    "make a file": lambda: os.open(folder + "/new", os.O_CREAT | os.O_WRONLY),
    "mkdir": lambda: os.mkdir(folder + "/new"),
    "symlink": lambda: os.symlink(canary, folder + "/new"),
    "symlink here": lambda: os.symlink(canary, "new"),
    "link": lambda: os.link(canary, folder + "/new"),
    "mkfifo": lambda: os.mkfifo("new"),
    "list": lambda: os.listdir(folder),
    "chroot": lambda: os.chroot("/"),
    "own environment": lambda: os.open("/proc/self/environ", os.O_RDONLY),
    "environment of the parent": lambda: os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY),
    "memory of the trainer": lambda: os.open(f"/proc/{trainer}/mem", os.O_RDWR),
    "passwords": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "shared memory": lambda: os.open("/dev/shm/x", os.O_CREAT | os.O_RDWR),
    "memfd": lambda: os.memfd_create("x"),
    "connect": lambda: socket.socket().connect(("127.0.0.1", port)),
    "TCP": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "IPv6": lambda: socket.socket(socket.AF_INET6),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "out of band": lambda: socket.socketpair()[0].send(b"x", socket.MSG_OOB),
    "huge pages": lambda: mmap.mmap(-1, 1 << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000),
    "datagram pair": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    "pass a descriptor": lambda: socket.send_fds(socket.socketpair()[0], [b"x"], [0]),
    "fork": lambda: os.fork() or os._exit(0),
    "forkpty": lambda: os.forkpty()[0] or os._exit(0),
    "spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
    "execute": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "wait": lambda: os.waitpid(-1, os.WNOHANG),
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "signal the trainer": lambda: os.kill(trainer, 0),
    "signal all": lambda: os.kill(-1, 0),
    "signal its group": lambda: os.killpg(0, 0),
    "signal itself": lambda: os.kill(os.getpid(), 0),
    "stop itself": lambda: signal.raise_signal(signal.SIGSTOP),
    "pidfd": lambda: os.pidfd_open(os.getppid()),
    "prlimit of the parent": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)),
    "more CPU": lambda: must_raise(resource.RLIMIT_CPU),
    "more memory": lambda: must_raise(resource.RLIMIT_AS),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 5),
    "affinity": lambda: os.sched_setaffinity(0, {0}),
    "session": os.setsid,
    "become root": lambda: os.setuid(0),
    "owner of a pipe": lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid()),
    "signal of a pipe": lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETSIG, 9),
    "asynchronous": lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETFL, os.O_ASYNC),
    "big pipe": lambda: fcntl.fcntl(os.pipe()[0], 1031, 1 << 20),
    "put into a terminal": lambda: fcntl.ioctl(0, 0x5412, b"x"),
    "be dumpable": lambda: prctl(4, 1),
    "outlive the zygote": lambda: prctl(1, 0),
}

def raw_open():
    if libc.open(canary.encode(), 0) == -1:
        raise OSError(ctypes.get_errno(), "open")

def prctl(*arguments):
    if libc.prctl(*(ctypes.c_long(a) for a in arguments)) == -1:
        raise OSError(ctypes.get_errno(), "prctl")

def must_raise(what):
    soft, hard = resource.getrlimit(what)
    assert soft == hard != resource.RLIM_INFINITY, what
    try:
        resource.setrlimit(what, (soft, hard + 1))
    except ValueError as error:
        raise OSError(1, "hard") from error

def done():
    succeeded = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError:
            continue
        succeeded.append(name)
    return succeeded

print(json.dumps(child(done)))
"""


def test_every_tier_refuses_what_a_program_has_no_business_with(tier, user, public, port):
    done, status = run(LAYERS[tier], user, public, REFUSED, port)
    assert (done, status) == ([], 0)
    assert (public / "canary").read_text() == "secret"
    assert sorted(path.name for path in public.iterdir()) == ["canary", "inside"]


def test_every_system_call_that_is_not_let_through_is_refused(tier, user, public):
    """By number, all there are and those to come: not permitted, or not there."""
    let = syscalls.PROGRAM | (syscalls.FILES if tier != "C" else set()) | (syscalls.LINKS if "A" in tier else set())
    numbers = {syscalls.NUMBERS[name][linux.MACHINE] for name in let}
    body = f"""
    allowed = {sorted(number for number in numbers | UPROBES if number is not None)}
    def answers():
        told = {{}}
        for number in set(range(1024)).difference(allowed):
            try:
                raw(number, -1, -1, -1, -1, -1, -1)
                told[number] = 0
            except OSError as error:
                told[number] = error.errno
        return told
    print(json.dumps(child(answers)))
    """
    told, status = run(LAYERS[tier], user, public, body)
    assert status == 0
    missing = {syscalls.NUMBERS[name][linux.MACHINE] for name in syscalls.MISSING}
    wrong = {
        number: answer
        for number, answer in ((int(n), a) for n, a in told.items())
        if answer != (errno.ENOSYS if number > syscalls.LAST or number in missing else errno.EPERM)
    }
    assert wrong == {}
    assert len(told) > 850


@pytest.mark.skipif(linux.MACHINE != 0, reason="numbers of x86-64")
def test_programs_of_the_same_moment_have_no_words(tier, user, public):
    """Two children with the same file open: locks and wake-ups of one are nothing to the other."""
    body = """
    import struct, time
    try:
        file = os.open(os.__file__, os.O_RDONLY)
    except OSError:
        file = 1
    lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 1, 0)
    if file == 1:
        page = ctypes.addressof(ctypes.c_int.in_dll(ctypes.pythonapi, "Py_FrozenFlag")) & ~4095
    else:
        libc.mmap.restype = ctypes.c_void_p
        page = libc.mmap(None, ctypes.c_size_t(4096), mmap.PROT_READ, mmap.MAP_PRIVATE, file, ctypes.c_long(0))
    word = ctypes.c_int.from_address(page)
    def says(attempt):
        try:
            return attempt()
        except OSError as error:
            return error.errno
    def wait(operation, seconds):
        timeout = ctypes.create_string_buffer(struct.pack("qq", seconds, 0))
        started = time.monotonic()
        answer = says(lambda: raw(202, page, operation, word.value, ctypes.addressof(timeout)))
        return answer, time.monotonic() - started < 1
    def program():
        clock = ~os.getppid() << 3 | 2
        found = {
            "lock": says(lambda: fcntl.fcntl(file, fcntl.F_SETLK, lock) == lock),
            "ask": says(lambda: fcntl.fcntl(file, fcntl.F_GETLK, lock)),
            "wait": wait(0, 5),
            "wake": says(lambda: raw(202, page, 1, 1)),
            "clock": says(lambda: time.clock_gettime(clock)),
            "resolution": says(lambda: time.clock_getres(clock)),
            "own clocks": time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) > 0 < time.thread_time(),
        }
        thread = ctypes.c_ulong()
        body = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: time.sleep(0.05))
        found["join"] = libc.pthread_create(ctypes.byref(thread), None, body, None) or libc.pthread_join(thread, None)
        return found
    print(json.dumps(child(program)))
    """
    told, status = run(LAYERS[tier], user, public, body)
    assert status == 0
    assert told == {
        "lock": True,
        "ask": errno.EPERM,
        "wait": [errno.EAGAIN, True],
        "wake": errno.EPERM,
        "clock": errno.EPERM,
        "resolution": errno.EPERM,
        "own clocks": True,
        "join": 0,
    }


def test_links_are_not_read_where_they_are_others(user, public):
    if not tiers.examine("B").reached:
        pytest.skip("this machine lacks tier B")
    told, status = run(LAYERS["B"], user, public, "print(json.dumps(child(lambda: os.readlink('/proc/self/exe'))))")
    assert (told[:15], status) == ("PermissionError", 0)


@pytest.mark.skipif(linux.MACHINE != 0, reason="x86-64 has other ways to make system calls")
def test_the_calls_of_x32_kill(user, public):
    body = "print(json.dumps(child(lambda: raw(0x40000000 + 39))))"
    answer, status = run(LAYERS["C"], user, public, body)
    assert (answer, os.WTERMSIG(status)) == (None, signal.SIGSYS)


HONEST = """
def honest():
    import asyncio, hashlib, random, re, select, time
    found = []
    thread = threading.Thread(target=found.append, args=(1,))
    thread.start()
    thread.join()
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(4) as pool:
        found += pool.map(abs, [-2, -3])
    async def later():
        await asyncio.sleep(0.001)
        return 4
    found.append(asyncio.run(later()))
    reading, writing = os.pipe()
    os.write(writing, b"5")
    found.append(int(os.read(select.select([reading], [], [])[0][0], 1)))
    left, right = socket.socketpair()
    left.sendall(b"6")
    found.append(int(right.recv(1)))
    signal.signal(signal.SIGALRM, lambda *_: found.append(7))
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(0.05)
    found.append(len(hashlib.sha256(os.urandom(8)).digest()) // 4)
    sys.setrecursionlimit(10**5)
    def deep(n):
        return n and 1 + deep(n - 1)
    found.append(deep(9000) // 1000)
    import xml.etree.ElementTree, sqlite3, lzma, bz2, zoneinfo, graphlib, colorsys, tempfile, decimal, unittest.mock
    found.append(sqlite3.connect(":memory:").execute("select 10").fetchone()[0])
    found.append(len("abcdefghijk".encode("cp1252")))
    return found
print(json.dumps(child(honest)))
"""


def test_honest_programs_run_in_every_tier(tier, user, public):
    assert run(LAYERS[tier], user, public, HONEST) == [list(range(1, 12)), 0]


def test_scratch_is_small_private_and_wiped(tier_with_files, user, public):
    """With namespaces a program has a directory, which the next one finds empty; without it can write nowhere."""
    body = """
    def use():
        import tempfile
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 1000)
        os.makedirs("a/b", mode=0)
        here = os.getcwd()
        for _ in range(200):
            os.mkdir("deep")
            os.chdir("deep")
        os.chdir(here)
        os.umask(0o777)
        open("-rf *\\udcff\\n", "w").write("x")
        os.rename("-rf *\\udcff\\n", "other")
        open("a.py", "w").close()
        told = [os.environ["HOME"] == os.environ["TMPDIR"] == here]
        for what, action in {
            "bytes": lambda: [open(f"b{i}", "wb").write(b"x" * (1 << 20)) for i in range(9)],
            "files": lambda: [os.mkdir(f"f{i}") for i in range(600)],
            "execute": lambda: os.execv("a.py", ["a.py"]),
        }.items():
            try:
                action()
                told.append(what)
            except OSError:
                pass
        return told
    def find():
        return os.listdir(".") if layers.namespaces else []
    before = child(use)
    zygote = os.listdir(".") if layers.namespaces else []
    sandbox.sweep(layers)
    after = child(find)
    print(json.dumps([before, len(zygote) > 5, after, child(lambda: dict(os.environ))[0].keys() <= {"HOME", "TMPDIR"}]))
    """
    before, used, after, clean = run(LAYERS[tier_with_files], user, public, body)
    assert after == [[], 0]
    assert clean
    if LAYERS[tier_with_files][0]:
        assert (before, used) == ([[True], 0], True)
    else:
        assert "FileNotFoundError" in before[0]  # no usable temporary directory


def test_what_is_installed_is_out_of_reach(tier_with_files, user, public):
    where = [interpreter(user), "-I", "-S", "-c", "import os; print(os.path.dirname(os.__file__))"]
    library = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    places = [library / name for name in ("site-packages", "dist-packages") if (library / name).is_dir()]
    files = [str(path) for place in places for path in place.rglob("*.py")][:20]
    if not files:
        pytest.skip(f"nothing is installed below {library}")
    body = f"""
    def found():
        names, opened = [], []
        for path in {[str(place) for place in places]}:
            try:
                names += os.listdir(path)
            except OSError:
                pass
        for path in {files}:
            try:
                opened.append(os.open(path, os.O_RDONLY))
            except OSError:
                pass
        return names + opened
    print(json.dumps(child(found)))
    """
    assert run(LAYERS[tier_with_files], user, public, body) == [[], 0]


def test_limits(tier, user, public):
    body = """
    import resource
    limits = sandbox.Limits(cpu=0.5, memory=300 << 20)
    def burn():
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True:
            pass
    def eat():
        try:
            return len(bytearray(400 << 20))
        except MemoryError:
            return "memory"
    def hoard():
        held = []
        try:
            while True:
                held.append(os.dup(0))
        except OSError:
            return len(held) <= 64
    def swarm():
        import _thread  # which does not wait, as Thread.start does, for what has no memory to say that it runs
        _thread.stack_size(64 << 10)
        held = 0
        try:
            while held < 100:
                _thread.start_new_thread(time.sleep, (9,))
                held += 1
        except RuntimeError:
            pass
        return held
    told = [child(f, limits) for f in (burn, eat, hoard)]
    told += [child(swarm, limits._replace(memory=8 << 30)), sandbox._prepared.threads]
    print(json.dumps(told))
    """
    burnt, eaten, hoarded, (threads, status), counted = run(LAYERS[tier], user, public, body)
    assert burnt == [None, signal.SIGKILL]
    assert eaten == ["memory", 0]
    assert hoarded == [True, 0]
    assert status == 0
    assert threads < (64 if counted else 101)
    assert counted or not (user == "root" or LAYERS[tier][0])


def test_sweep_leaves_no_process(user, public):
    if not tiers.examine("A-").reached:
        pytest.skip("no namespaces here")
    body = """
    pid = os.fork()
    if pid == 0:
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
                time.sleep(60)
        os._exit(0)
    os.waitpid(pid, 0)
    sandbox.sweep(layers)
    try:
        os.kill(-1, 0)
        print(json.dumps("somebody"))
    except ProcessLookupError:
        print(json.dumps("nobody"))
    """
    assert run((True, False, False), user, public, body) == "nobody"


def test_sweep_reports_a_child_that_it_may_not_find(user, public):
    body = """
    sandbox._PATIENCE = 0.05
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
    try:
        sandbox.sweep(layers)
        told = "nothing"
    except sandbox.SandboxError as error:
        told = str(error)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sandbox.sweep(layers)
    print(json.dumps(told))
    """
    assert "sweep: can't end the processes" in run(LAYERS["C"], user, public, body)
    assert (
        run((False, False, False), user, public, body.replace("os.kill(pid, 9)\n    os.waitpid(pid, 0)\n", ""))
        == "nothing"
    )


def test_who_a_program_is(tier, user, public):
    """Never root, with no capability, no group of root's, nothing open but what was kept.

    The zygote holds the rules of Landlock that isolate its children as well, and they do not.
    """
    body = """
    def who():
        def is_open(fd):
            try:
                return bool(os.fstat(fd))
            except OSError:
                return False
        ids = [*os.getresuid(), *os.getresgid(), *os.getgroups()]
        return [min(ids), [fd for fd in range(64) if is_open(fd)], os.uname().nodename == "judge", os.getpid() == 2]
    held = who()[1]
    program = child(who)[0]
    program[1] = [fd for fd in program[1] if fd in held]  # without the test's own pipe
    print(json.dumps([held, *program]))
    """
    kept, least, opened, named, alone = run(LAYERS[tier], user, public, body)
    assert kept == [0, 1, 2, 3][: 4 if LAYERS[tier][1] else 3]
    assert opened == [0, 1, 2]
    assert least > 0
    assert named == LAYERS[tier][0]
    assert not alone or LAYERS[tier][0]


@pytest.mark.parametrize("tier", ["A-", "C"])
def test_nothing_outlives_the_process_that_was_started(tier, user, public):
    """With namespaces it is the keeper, without it is the zygote: when it is killed, so is the program."""
    if not tiers.examine(tier).reached:
        pytest.skip(f"no tier {tier} here")
    body = """
    if os.fork() == 0:
        sandbox.confine_program(sandbox.confinement(sandbox.Limits(cpu=2, memory=1 << 30)))
        os.write(1, b"up")
        time.sleep(60)
    time.sleep(60)
    """
    digits = "".join("01"[layer] for layer in LAYERS[tier])
    command = [interpreter(user), "-I", "-S", "-B", "-c", HARNESS, str(public), digits, str(public / "canary"), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **become(user)) as process:
        process.stdin.write(textwrap.dedent(body).encode())
        process.stdin.close()
        assert process.stdout.read(2) == b"up"
        process.kill()
        assert process.stdout.read() == b""  # which comes when nobody holds it any more


class TestEachLayerAlone:
    """What one layer does by itself: none of them is decoration."""

    BODY = """
    def done():
        succeeded = []
        for name, attempt in {
            "read": lambda: os.open(canary, os.O_RDONLY),
            "list": lambda: os.listdir(os.path.dirname(canary)),
            "passwords": lambda: os.open("/etc/passwd", os.O_RDONLY),
            "make": lambda: os.close(os.open(canary + ".new", os.O_CREAT | os.O_WRONLY)),
            "connect": lambda: socket.socket().connect(("127.0.0.1", port)),
            "signal": lambda: os.kill(trainer, 0) if trainer else missing(),
            "trace": lambda: raw({ptrace}, 0x4206, os.getppid(), 0, 0),  # PTRACE_SEIZE
            "fork": lambda: os.fork() or os._exit(0),
        }.items():
            try:
                attempt()
                succeeded.append(name)
            except OSError:
                pass
        return succeeded
    def missing():
        raise ProcessLookupError
    print(json.dumps(child(done)[0]))
    """.replace("{ptrace}", str((101, 117)[linux.MACHINE or 0]))

    def test_none(self, public, port):
        done = run((False, False, False), USERS[0], public, self.BODY, port)
        (public / "canary.new").unlink()
        assert {"read", "list", "passwords", "make", "connect", "signal", "fork"} <= set(done)

    def test_namespaces(self, user, public, port):
        if not tiers.examine("A-").reached:
            pytest.skip("no namespaces here")
        assert run((True, False, False), user, public, self.BODY, port) in (["signal", "fork"], ["fork"])

    def test_landlock(self, user, public, port):
        if not tiers.examine("B").reached:
            pytest.skip("no Landlock here")
        done = run((False, True, False), user, public, self.BODY, port)
        assert {"read", "list", "passwords", "make", "trace"}.isdisjoint(done)

    def test_seccomp(self, user, public, port):
        assert run((False, False, True), user, public, self.BODY, port) == []
