"""Exhaustion of everything, and output that is dear to read."""

# ruff: noqa: E501

from own_attacks.rows import ASSERTS, SECRET, SQUARE, STDIN, attack

attack(
    "res_lengths_that_lie",
    SQUARE,
    """
import itertools
class L(list):
    __len__ = __length_hint__ = lambda self: 1 << 62
    __iter__ = lambda self: itertools.repeat(0)
class D(dict):
    __len__ = L.__len__
    __iter__ = keys = values = items = lambda self: itertools.repeat(('a', 0))
class I:
    __length_hint__ = L.__len__
    __iter__ = lambda self: self
    __next__ = lambda self: [0] * 1000
def f(x): return {3: L(), 10: D(), 25: I()}[x]
""",
)
attack(
    "res_shared_structure",
    SQUARE,
    """
def f(x):
    a = b = 0
    for i in range(90): a, b = [a, a], (b, b, {i: b})
    return {3: a, 10: b}.get(x, [a, b])
""",
    "score 0: 2**90 leaves in a kilobyte are not written out",
)
attack(
    "res_protocol_deep_and_long",
    SQUARE,
    """
import os
LINES = [b'ok ' + b'[' * 300000 + b']' * 300000, b'ok ' + b'{"t":[' * 100000, b'ok ' + b'9' * 900000, b'ok -1e' + b'9' * 900000, b'ok {"i":"0x' + b'f' * 900000 + b'"}',
         b'ok "' + b'\\\\\\\\' * 400000 + b'"', b'ok ' + b'"\\\\' * 300000, b'load [' + b'"x",' * 100000 + b'1]', b'stdout ' + b'"' * 900000]
def f(x):
    for line in LINES:
        for fd in range(3, 8):
            try: os.write(fd, line + b'\\n')
            except OSError: pass
    return 0
""",
    "score 0; the judge spends < 2 s and < 300 MB on it",
)
for _name, _line in {
    "nested": "b'[' * 200000 + b']' * 200000",
    "tags": "b'{\"t\":[' * 100000 + b']}' * 100000",
    "digits": "b'9' * 900000",
    "hexadecimal": "b'{\"i\":\"0x' + b'f' * 900000 + b'\"}'",
    "collisions": "b'{\"s\":[' + b','.join(b'%d' % (k * (2**61 - 1)) for k in range(1, 45000)) + b']}'",
    "pairs": "b'{\"d\":[' + b'[1,1],' * 150000 + b'[1,1]]}'",
    "tiny_floats": "b'{\"s\":[{\"s\":[' + b'5e-324,' * 140000 + b'1]}]}'",
    "deep_keys": "b'{\"s\":[' + (b'{\"s\":[' * 90 + b'1' + b']}' * 90 + b',') * 1100 + b'1]}'",
    "long_keys": "b'{\"s\":[' + b'{\"t\":[' * 90 + b'\"' + b'x' * 900000 + b'\"' + b']}' * 90 + b']}'",
    "decimals": 'b\'{"s":[\' + b\'{"r":["Decimal","1E+999"]},\' * 36000 + b\'1]}\'',
}.items():
    attack(
        f"res_first_line_{_name}",
        {"kind": "call", "entry": "f", "calls": ["(1,)"], "expected": ["{frozenset({1, 2})}"]}
        | ({"expected": ["{1: 2}"]} if _name == "pairs" else {"expected": ["{(1, 2)}"]}),
        f"""
import os
LINE = b'ok ' + {_line} + b'\\n'
for fd in range(3, 16):
    try:
        rest = LINE
        while rest: rest = rest[os.write(fd, rest):]
    except OSError: pass
def f(x): return 0
""",
        "score 0; the judge spends < 2 s and < 300 MB on a line that is made to be dear",
    )
attack(
    "res_one_byte_at_a_time",
    SQUARE,
    """
import os, time
def f(x):
    while True:
        for fd in range(3, 8):
            try: os.write(fd, b'o')
            except OSError: pass
        time.sleep(0.001)
""",
    "wall limit holds; the judge does little",
)
attack(
    "res_many_short_lines",
    ASSERTS,
    """
import os
def f(x):
    while True:
        for fd in range(3, 8):
            try: os.write(fd, b'ok 1\\n' * 10000)
            except OSError: pass
""",
    "score 0; memory of all processes is bounded",
)
attack(
    "res_sleep_at_the_end",
    STDIN,
    """
import atexit, threading, time, sys
class D:
    def __del__(self): time.sleep(600)
keep = D()
atexit.register(time.sleep, 600)
threading.Thread(target=time.sleep, args=(600,)).start()
print(8)
""",
    "wall limit holds",
)
attack(
    "res_blanks_without_end",
    STDIN,
    """
import os
os.write(1, b'7')
while True: os.write(1, b' ' * 65536)
""",
    "score 0: what is stripped counts as output too",
)
attack(
    "res_line_breaks_without_end",
    STDIN,
    """
import os
os.write(1, b'7\\n')
while True: os.write(1, b'\\n' * 65536)
""",
    "score 0: what is stripped counts as output too",
)
attack(
    "res_stderr_flood",
    SQUARE,
    """
import sys, os
def f(x):
    while True: os.write(2, b'x' * 65536); sys.stderr.write('y' * 65536)
""",
)
attack(
    "res_compile_nested",
    SQUARE,
    "def f(x): return " + "(" * 100_000 + ")" * 100_000 + "\n",
    "score 0, no judge exception",
)
attack("res_compile_unary", SQUARE, "def f(x): return " + "-" * 100_000 + "x\n", "score 0, no judge exception")
attack("res_compile_constants", SQUARE, "def f(x): return 9**9**9**9, 'x' * 10**12, (0,) * 10**11\n")
attack("res_source_odd", SQUARE, "# coding: rot13\n\x00\ud800def f(x): return x\n", "score 0, no judge exception")
attack("res_source_long", SQUARE, "x = 0\n" * 400_000 + "def f(x): return 0\n", "score 0, bounded")
attack(
    "res_recursion",
    SQUARE,
    """
import sys
sys.setrecursionlimit(10**9)
class R:
    def __repr__(self): return repr(self)
    def __del__(self): f(1)
def f(x):
    try: return f(x + 1) + f(x + 2)
    except RecursionError: return repr(R())
""",
    "score 0: a crash is no answer",
)
attack(
    "res_exceptions_that_linger",
    SQUARE,
    """
import time
class E(Exception):
    def __init__(self, x): self.x = x
    def __str__(self):
        if self.x == 3: return 'x' * (1 << 29)
        if self.x == 10: return '\\x1b[2J\\r\\n\\ud800\\u202e' * 1000
        time.sleep(600)
    __repr__ = __str__
E.__name__ = E.__qualname__ = 'E\\n' * 10**6
def f(x): raise E(x)
""",
    "score 0; the reason is short and printable",
)
attack(
    "res_backtracking",
    SQUARE,
    """
import re
def f(x): return re.match('(a+)+$', 'a' * 64 + 'b')
""",
    "the CPU limit holds in C code",
)
attack(
    "res_shared_mappings",
    SECRET,
    """
import mmap
def f(x):
    keep, total = [], 0
    for size in (1 << 28, 1 << 24, 1 << 20):
        try:
            while total < 3 << 30:
                m = mmap.mmap(-1, size, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
                for a in range(0, size, 4096): m[a] = 1
                keep.append(m); total += size
        except (OSError, ValueError, MemoryError): pass
    if total > 3 << 29: return '@@SECRET@@'
""",
    "memory is bounded, however it is mapped",
)
attack(
    "res_socket_buffers",
    SECRET,
    """
import socket, array, os
def f(x):
    total, keep = 0, []
    try:
        while total < 1 << 29:
            a, b = socket.socketpair(); keep.append((a, b)); a.setblocking(False)
            for option in (7, 32):
                try: a.setsockopt(1, option, 1 << 29)
                except OSError: pass
            try:
                while total < 1 << 29: total += a.send(b'x' * 65536)
            except BlockingIOError: pass
            c, d = socket.socketpair()
            c.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [a.fileno(), b.fileno()]))])
            a.close(); b.close(); keep[-1] = (c, d)
    except OSError: pass
    if total > 1 << 28: return '@@SECRET@@'
""",
    "score 0: kernel memory behind descriptors is bounded, those in flight included",
)
attack(
    "res_descriptors",
    SECRET,
    """
import os
def f(x):
    n = 0
    try:
        while n < 5000: os.pipe(); n += 1
    except OSError: pass
    if n > 2000: return '@@SECRET@@'
""",
)
attack(
    "res_collisions_in_tests",
    {"kind": "tests", "entry": "f", "setup": "", "tests": ["assert f(3) == {1}", "assert f(10) == 100"]},
    """
import os
LINE = b'ok {"s":[' + b','.join(b'%d' % (k * (2**61 - 1)) for k in range(1, 40000)) + b']}\\n'
def f(x):
    for fd in range(3, 8):
        try:
            rest = LINE
            while rest: rest = rest[os.write(fd, rest):]
        except OSError: pass
    return 0
""",
    "wall and CPU limits hold for the process of the tests as well",
)
attack(
    "res_endless_stdin_reader",
    STDIN,
    """
import sys
while True: sys.stdin.read(1)
""",
    "wall limit holds",
)
