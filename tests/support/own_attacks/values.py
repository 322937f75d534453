"""Values that lie, and honest programs with values and habits that a sandbox might break."""

# ruff: noqa: E501

from own_attacks.rows import SQUARE, STDIN, attack

attack(
    "spoof_lying_class",
    SQUARE,
    """
class E:
    @property
    def __class__(self): return int
    def __reduce__(self): return (eval, ('9',))
    def __index__(self): return 9
    def __eq__(self, other): return True
    def __hash__(self): return 9
    def __repr__(self): return '9'
    __str__ = toJSON = to_dict = __json__ = __getstate__ = __repr__
def f(x): return E()
""",
)
attack(
    "spoof_lying_int",
    SQUARE,
    """
class I(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __index__(self): return 9
    def __repr__(self): return '9'
    def __hash__(self): return 9
def f(x): return I(1)
""",
)
attack(
    "spoof_lying_text",
    {"kind": "call", "entry": "f", "calls": ["(1,)", "(2,)"], "expected": ["'a'", "[b'a', ('b',)]"]},
    """
class S(str):
    def __eq__(self, other): return True
    def __str__(self): return 'a'
    def encode(self, *a): return b'a'
    def __hash__(self): return hash('a')
def f(x): return S('z')
""",
)
attack(
    "spoof_metaclass",
    SQUARE,
    """
class M(type):
    def __instancecheck__(cls, x): return True
    def __subclasscheck__(cls, x): return True
    def __eq__(cls, x): return True
    def __hash__(cls): return hash(int)
    __name__ = property(lambda cls: 1 / 0)
    def mro(cls): return [cls, object]
class E(metaclass=M):
    def __getattribute__(self, name): raise SystemExit(0)
def f(x): return E()
""",
)
attack(
    "spoof_kinds_of_containers",
    {
        "kind": "call",
        "entry": "f",
        "calls": ["(0,)", "(1,)", "(2,)", "(3,)", "(4,)", "(5,)"],
        "expected": ["(1, 2)", "[1, 2]", "{1, 2}", "{1: 2}", "'\\U0001f600'", "9007199254740993"],
    },
    """
def f(k): return [[1, 2], (1, 2), [1, 2], [(1, 2)], '\\ud83d\\ude00', float(2**53)][k]
""",
)
attack(
    "spoof_sets_without_sense",
    {"kind": "call", "entry": "f", "calls": ["(0,)"], "expected": ["{1, 2}"]},
    """
import os
for fd in range(3, 64):
    try: os.write(fd, b'ok {"s":[1,1]}\\nok {"s":[[1],[2]]}\\nok {"s":[{"x":"E"},{"x":"E"}]}\\n')
    except OSError: pass
os._exit(0)
""",
)
attack(
    "spoof_results_that_change",
    SQUARE,
    """
import threading
class L(list):
    def __eq__(self, other): return True
r = L()
def churn():
    while True: r.append(9); r.clear()
threading.Thread(target=churn, daemon=True).start()
def f(x): return r
""",
)
attack(
    "spoof_iterators_and_coroutines",
    {"kind": "call", "entry": "f", "calls": ["(0,)", "(1,)", "(2,)"], "expected": ["[1, 2]", "[]", "None"]},
    """
def f(k):
    async def g(): return None
    if k == 2:
        c = g(); return c
    return iter([[1, 2], []][k])
""",
)

attack(
    "honest_threads_and_async",
    SQUARE,
    """
import asyncio, threading, functools, queue
from concurrent.futures import ThreadPoolExecutor
async def g(x):
    await asyncio.sleep(0)
    return x * x
@functools.lru_cache
def f(x):
    print('computing', x)
    with ThreadPoolExecutor(3) as pool: assert list(pool.map(abs, [-1, 2])) == [1, 2]
    q = queue.Queue(); t = threading.Thread(target=q.put, args=(asyncio.run(g(x)),)); t.start(); t.join()
    return q.get()
""",
    "score 1: an honest solution is not punished",
)
attack(
    "honest_recursion_and_memory",
    SQUARE,
    """
import sys
sys.setrecursionlimit(20000)
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
def f(x):
    table = [[0] * 1000 for _ in range(1000)]
    assert depth(9000) == 9000 and len(table) == 1000
    return x * x
""",
    "score 1: an honest solution is not punished",
)
attack(
    "honest_values",
    {
        "kind": "call",
        "entry": "f",
        "calls": ["(0,)", "(1,)", "(2,)", "(3,)", "(4,)", "(5,)", "(6,)"],
        "expected": ["[None, True]", "{(1, (2,)): {3}}", "'\\ud800\\x00'", "1", "-0.0", "{1, 2}", "{'b': [], 'a': ()}"],
    },
    """
from fractions import Fraction
def f(k): return [[None, 1.0], {(True, (2.0,)): {3}}, '\\ud800\\0', Fraction(1), 0, frozenset([2, 1]), dict(a=(), b=[])][k]
""",
    "score 1: an honest solution is not punished",
)
attack(
    "honest_script",
    STDIN,
    """
import sys
def main():
    a, b = map(int, input().split())
    sys.stdout.write(str(a + b)); print(end='  \\n\\n'); sys.stderr.write('debug')
    try: input()
    except EOFError: pass
if __name__ == '__main__':
    main()
    sys.exit()
""",
    "score 1: an honest solution is not punished",
)
attack(
    "honest_errors_that_tests_want",
    {
        "kind": "tests",
        "entry": "f",
        "setup": "import math",
        "tests": [
            "try:\n    f(-1)\n    assert False\nexcept ValueError as error:\n    assert 'negative' in str(error)",
            "assert math.isnan(f(0)) and f(1) == [1] and next(iter(f(2))) == 2 and f(3) == {3: (3,)}",
            "values = [1, 2]\nf(values)\nassert values == [1, 2] and f(x=1) == [1]",
        ],
    },
    """
class Negative(ValueError): pass
def f(x):
    if isinstance(x, list): return None
    if x < 0: raise Negative('negative')
    return {0: float('nan'), 1: [1], 2: (i for i in [2]), 3: {3: (3,)}}[x]
""",
    "score 1: an honest solution is not punished",
)
attack(
    "honest_script_that_exits",
    STDIN,
    """
a, b = map(int, open(0).read().split())
print(a + b)
if a < b: exit()
print('not here')
""",
    "score 1: an honest solution is not punished",
)
