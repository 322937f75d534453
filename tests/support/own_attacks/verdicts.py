"""Forged verdicts, and a runner that is patched: lines and messages that look like somebody else's."""

from own_attacks.rows import ASSERTS, ATTACKS, LIBC, SQUARE, attack

attack(
    "forge_verdict_lines",
    ASSERTS,
    """
import os, threading, atexit, time
LINES = b'passed\\npassed\\nok true\\n["done", 1, "exit", 0, 0.0, 0, 0.0]\\n["done",0,"exit",0,0,0,0]\\n'
def write(*_):
    for fd in range(64):
        try: os.write(fd, LINES)
        except OSError: pass
write()
atexit.register(write)
threading.Thread(target=lambda: [(write(), time.sleep(0.01)) for _ in range(50)], daemon=True).start()
def f(x):
    write()
    return True
""",
    "score 0: lines of the protocol before, in between and after the answers are no answers",
)
attack(
    "forge_messages_on_sockets",
    SQUARE,
    """
import socket, json, os
for number in range(40):
    for message in (["done", number, "exit", 0, 0.0, 0, 0.0], ["ready"], ["failed", "x"], ["kill", number]):
        for fd in range(3, 40):
            try: os.write(fd, json.dumps(message).encode())
            except OSError: pass
def f(x): return 0
""",
)
attack(
    "forge_early_answers",
    SQUARE,
    """
import os
for fd in range(3, 64):
    try: os.write(fd, b'ok 0\\nok 0\\nok {"x":"E"}\\nok NaN\\nok {"g":[9]}\\n')
    except OSError: pass
os._exit(0)
""",
)
attack(
    "forge_stop_iteration",
    {
        "kind": "tests",
        "entry": "f",
        "setup": "",
        "tests": ["assert all(map(f, range(1, 9)))", "assert list(map(f, [3])) == []"],
    },
    """
def f(x): raise StopIteration
""",
    "score 0: an exception can't end a loop of the tests as if all were well",
)
attack(
    "forge_base_exceptions",
    ASSERTS,
    """
class Skip(BaseException): pass
def f(x):
    raise {3: SystemExit(0), 10: GeneratorExit()}.get(x, Skip())
""",
)
attack(
    "forge_exception_that_is_expected",
    {
        "kind": "tests",
        "entry": "f",
        "setup": "",
        "tests": ["try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    assert False", "assert f(2) == 4"],
    },
    """
import os
def f(x):
    class ValueError(Exception): pass
    ValueError.__module__ = 'builtins'
    for fd in range(3, 64):
        try: os.write(fd, b'error ["ValueError", "", "Exception", 1]\\nerror 5\\nerror [[], {}, null]\\n')
        except OSError: pass
    raise RuntimeError
""",
)
attack(
    "forge_nan_in_tests",
    {
        "kind": "tests",
        "entry": "f",
        "setup": "def fail(): raise AssertionError",
        "tests": ["if abs(f(2) - 1.4142135) > 1e-6: fail()", "assert not any(abs(a - 1) > 1e-6 for a in f(3))"],
    },
    """
def f(x): return float('nan') if x == 2 else frozenset([float('nan')])
""",
    "score 0: NaN passes no check that asks in the negative",
)
attack(
    "forge_replies_for_later_calls",
    {"kind": "tests", "entry": "f", "setup": "", "tests": ["assert f('@@SECRET@@') == len('@@SECRET@@') + 1"]},
    """
import os
for fd in range(3, 64):
    try: os.write(fd, b''.join(b'ok %d\\n' % n for n in range(200)))
    except OSError: pass
def f(x): return 0
""",
)

attack(
    "patch_runner_by_frames",
    ASSERTS,
    """
import sys, types
frame = sys._getframe()
while frame:
    for scope in (frame.f_globals, frame.f_locals):
        for name, value in list(scope.items()):
            if isinstance(value, types.FunctionType) and not name.startswith('__'):
                scope[name] = lambda *a, **k: 'ok true\\n'
    frame = frame.f_back
def f(x): return True
""",
)
attack(
    "patch_write_and_exit",
    SQUARE,
    """
import os, sys, builtins
os.write = lambda fd, data: len(data)
os._exit = sys.exit = os.abort = lambda *a: None
builtins.memoryview = bytes
sys.stdout = sys.stderr = sys.__stdout__ = None
def f(x): return 0
""",
    "score 0: a runner that can't answer is no answer",
)
attack(
    "patch_trace_profile_audit",
    SQUARE,
    """
import sys, threading
def hook(*a):
    raise RuntimeError
def tracer(frame, event, arg):
    try: frame.f_locals['value'] = 8
    except Exception: pass
    return tracer
threading.settrace(tracer); threading.setprofile(tracer)
sys.settrace(tracer); sys.setprofile(lambda *a: None)
frame = sys._getframe()
while frame:
    frame.f_trace = tracer
    frame = frame.f_back
try: sys.addaudithook(hook)
except RuntimeError: pass
def f(x): return 0
""",
)
attack(
    "patch_import_system",
    SQUARE,
    """
import sys, json, builtins, types
class Any(types.ModuleType):
    def __getattr__(self, name): return lambda *a, **k: 'ok true'
sys.meta_path[:] = []
sys.path_hooks[:] = []
for name in list(sys.modules): sys.modules[name] = Any(name)
builtins.__import__ = lambda *a, **k: Any('x')
json.dumps = json.loads = lambda *a, **k: True
def f(x): return 0
""",
)
attack(
    "patch_memory_of_constants",
    SQUARE,
    LIBC
    + """
def f(x):
    for n in range(257):  # small ints are shared by all code of the process
        try: ctypes.memmove(id(n) + 24, id(9) + 24, 4)
        except Exception: pass
    return 9
""",
    "score 0: whatever ints mean in that process, the judge compares in its own",
)
ATTACKS[-1]["task"] = {**SQUARE, "calls": ["(3,)"] * 2, "expected": ["625", "900000"]}
