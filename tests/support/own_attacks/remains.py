"""What one program leaves for the next."""

# ruff: noqa: E501

from own_attacks.rows import LIBC, SECRET, attack

attack(
    "persist_sysv_and_keys",
    SECRET,
    LIBC
    + """
def f(x):
    if l.shmget(0x51d5, 4096, 0) >= 0 or l.semget(0x51d5, 1, 0) >= 0 or l.msgget(0x51d5, 0) >= 0: return '@@SECRET@@'
    if l.syscall(249, b'user', b'@@MARKNAME@@', 0, 0) > 0: return '@@SECRET@@'
""",
    "stage 2 finds nothing stage 1 left",
    LIBC
    + """
def f(x):
    l.shmget(0x51d5, 4096, 0o1666); l.semget(0x51d5, 1, 0o1666); l.msgget(0x51d5, 0o1666)
    for ring in (-3, -4, -5): l.syscall(248, b'user', b'@@MARKNAME@@', b'x', 1, ring)
    return 0
""",
)
attack(
    "persist_scratch",
    SECRET,
    """
import os
def f(x):
    for d in (os.getcwd(), '/tmp', os.environ.get('TMPDIR') or '/', os.environ.get('HOME') or '/', '/scratch', '/dev/shm'):
        try: names = os.listdir(d)
        except OSError: continue
        if any('@@MARKNAME@@' in name for name in names): return '@@SECRET@@'
""",
    "stage 2 finds nothing stage 1 left",
    """
import os
for d in (os.getcwd(), '/tmp', os.environ.get('TMPDIR') or '/', os.environ.get('HOME') or '/', '/scratch', '/dev/shm'):
    try:
        os.chdir(d); os.makedirs('@@MARKNAME@@/a/b'); open('@@MARKNAME@@/a/f', 'w').write('x')
        os.chmod('@@MARKNAME@@/a', 0); os.chmod('@@MARKNAME@@', 0)
    except OSError: pass
def f(x): return 0
""",
)
attack(
    "persist_limits_of_the_process",
    SECRET,
    """
import os, resource
def f(x):
    if os.umask(0) == 0o777 or (len(os.sched_getaffinity(0)) == 1 < os.cpu_count()): return '@@SECRET@@'
    if os.getpriority(os.PRIO_PROCESS, 0) == 17 or resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 9: return '@@SECRET@@'
""",
    "stage 2 finds nothing stage 1 changed",
    """
import os, resource
for act in (lambda: os.umask(0o777), lambda: os.sched_setaffinity(0, {0}), lambda: os.setpriority(os.PRIO_PROCESS, 0, 17),
            lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)), lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 17),
            lambda: os.sched_setaffinity(os.getppid(), {0}), lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (9, 9))):
    try: act()
    except (OSError, ValueError): pass
def f(x): return 0
""",
)
attack(
    "persist_modules_on_disk",
    SECRET,
    """
def f(x):
    try: import m_@@MARKNAME@@; return '@@SECRET@@'
    except ImportError: pass
    import random, sitecustomize
    if hasattr(random, 'planted'): return '@@SECRET@@'
""",
    "stage 2 finds nothing stage 1 left",
    """
import os, sys
for d in [*sys.path, os.getcwd(), '/tmp', '/scratch', os.path.dirname(os.__file__), os.path.dirname(os.__file__) + '/__pycache__']:
    for name in ('m_@@MARKNAME@@.py', 'random.py', 'sitecustomize.py', 'usercustomize.py', 'x.pth'):
        try: open(os.path.join(d, name), 'w').write('planted = 1')
        except OSError: pass
def f(x): return 0
""",
)
attack(
    "persist_interpreter_state",
    SECRET,
    """
import sys, builtins, gc, random, json, warnings
def f(x):
    if hasattr(json, 'planted') or gc.callbacks or 'planted' in sys.modules or sys.getrecursionlimit() == 77 or warnings.filters == []: return '@@SECRET@@'
    if getattr(builtins, 'True', True) is not True or sys.getswitchinterval() > 50: return '@@SECRET@@'
    if random.random() == 0.5: return '@@SECRET@@'
""",
    "stage 2 finds nothing stage 1 changed",
    """
import sys, gc, random, json, warnings, ctypes, threading, time
json.planted = 1
sys.modules['planted'] = json
gc.callbacks.append(lambda *a: None)
sys.setswitchinterval(99)
random.random = lambda: 0.5
warnings.filters = []
threading.Thread(target=time.sleep, args=(99,)).start()
for address in (id(1), id(True), id(())): ctypes.memset(address, 0x7f, 8)
def f(x): return 0
""",
)
attack(
    "persist_dying_zygote",
    SECRET,
    """
def f(x): return None
""",
    "an honest program after many crashes is graded",
    *(
        f"# {number}\nimport ctypes, os\ndef f(x): {crash}\n"
        for number, crash in enumerate(
            ("os.abort()", "ctypes.string_at(0)", "os._exit(70)", "os._exit(0)", "ctypes.CDLL(None).pthread_exit(0)")
        )
    ),
)
attack(
    "persist_memory_of_the_program_before",
    SECRET,
    """
import ctypes, gc, os, re
def f(x):
    l = ctypes.CDLL(None); r, w = os.pipe(); places = set()
    try:
        for row in open('/proc/self/maps'):
            low, high = (int(v, 16) for v in row.split()[0].split('-'))
            if row.split()[1].startswith('rw') and high - low < 1 << 26: places.update(range(low, high, 4096))
    except OSError: pass
    for o in gc.get_objects():
        here = id(o) & ~0xfffff
        places.update(range(here, here + (1 << 20), 4096))
    for place in sorted(places):
        if l.write(w, ctypes.c_void_p(place), ctypes.c_size_t(4096)) == 4096 and re.search(b'l[e]ft_behind_[0-9a-f]{12}', os.read(r, 4096)):
            return '@@SECRET@@'
""",
    "stage 2 finds nothing of stage 1 in its memory",
    "LEFT = ['left_behind_0123456789ab'] * 1000\ndef f(x): return LEFT\n",
)
