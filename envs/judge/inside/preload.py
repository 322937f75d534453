"""Import what programs are likely to import, before they run: it is faster, and later there may be no file to read.

Every module that is there when the zygote forks makes the fork slower, and that of all that it inherits (all of them:
2 ms, where one with the usual ones takes 1.3 and one with none takes 1). So what can be imported later is left for
later, and programs that import nothing have a zygote of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import sys
import warnings

FEW, USUAL, ALL = range(3)

#: What programs that compute import most.
_USUAL = """
abc array bisect calendar cmath collections collections.abc contextlib copy dataclasses datetime decimal enum
fractions functools heapq io itertools json locale math numbers operator os queue random re statistics string struct
textwrap threading time traceback types typing _strptime
"""

#: Extensions that need shared libraries from elsewhere, which will be out of reach.
_LINKED = "_bz2 _ctypes _decimal _hashlib _lzma _sqlite3 _ssl _uuid pyexpat zlib"

_OTHERS = """
__future__ abc argparse array ast asyncio atexit base64 bdb binascii bisect bz2 cProfile calendar cmath cmd code
codecs codeop collections collections.abc colorsys concurrent.futures concurrent.futures.process
concurrent.futures.thread configparser contextlib contextvars copy copyreg csv ctypes ctypes.util dataclasses datetime
dbm dbm.dumb decimal difflib dis doctest email email.message email.mime.text email.parser email.policy enum errno
fcntl filecmp fileinput fnmatch fractions functools gc getopt getpass gettext glob graphlib gzip hashlib heapq hmac
html html.entities html.parser http http.client http.cookies importlib importlib.abc importlib.machinery
importlib.metadata importlib.resources importlib.util inspect io ipaddress itertools json json.tool keyword linecache
locale logging logging.config logging.handlers lzma marshal math mimetypes mmap multiprocessing
multiprocessing.connection multiprocessing.managers multiprocessing.pool multiprocessing.queues
multiprocessing.shared_memory multiprocessing.synchronize ntpath numbers opcode operator optparse os pathlib pdb
pickle pickletools pkgutil platform plistlib posixpath pprint profile pstats pwd py_compile queue quopri random re
reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal smtplib socket
socketserver sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess
symtable sys sysconfig tarfile tempfile termios textwrap threading time timeit token tokenize tomllib trace traceback
tracemalloc types typing unicodedata unittest unittest.mock urllib.error urllib.parse urllib.request uuid warnings
wave weakref xml.dom.minidom xml.etree.ElementTree xml.sax zipfile zipimport zlib zoneinfo _strptime _pydatetime
_pydecimal _pylong _compat_pickle _py_abc _weakrefset _threading_local
"""

_ENCODINGS = """
aliases ascii base64_codec big5 bz2_codec charmap cp037 cp1250 cp1251 cp1252 cp437 cp850 euc_jp euc_kr gb18030 gb2312
gbk hex_codec idna iso2022_jp iso8859_1 iso8859_15 iso8859_2 koi8_r latin_1 mac_roman punycode quopri_codec
raw_unicode_escape rot_13 shift_jis unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 utf_8
utf_8_sig zlib_codec
"""

#: Runs every kind of statement once: the first `compile` and the first class make tables that all later ones share.
_WARM = """
import math as m
class Point:
    x: int = 0
    def __init__(self, x=0, y=()): self.x, self.y = x, y
    def __add__(self, other): return Point(self.x + other.x, [*self.y, *other.y])
def numbers(n: int, *rest, key: str = None, **more) -> list[int]:
    total, seen = 0, {a: b for a, b in zip("ab", range(2))}
    for i in range(n):
        if i % 2 and not seen.get("c") or i < 0: continue
        while total < i: total += 1
        yield lambda j, i=i: (i, j, f"{i:>3}{j!r}")
    else:
        assert {1, 2} - {2} == {1}, "no"
try:
    raise ValueError("x") from None
except (ValueError, KeyError) as error:
    text = str(error)
finally:
    last = sorted([p(1) for p in numbers(3)], key=lambda t: t[2], reverse=True)[:1]
with open.__class__ and __import__("contextlib").suppress(KeyError):
    del last[0]; (Point() + Point(1)).x
"""
_WARM_USUAL = """
from typing import List, Optional
from dataclasses import dataclass, field
@dataclass(order=True)
class Point:
    x: Optional[int] = 0
    y: List[int] = field(default_factory=list)
Point() < Point(1)
"""


def preload(modules: int) -> None:
    """Import modules of the standard library, and do once what is slow the first time.

    `modules`: `FEW` for programs that import nothing; the `USUAL` ones, which others import most; or `ALL` that one may
    want, for where nothing can be imported any more. Hooks that modules want run after a fork (`random` would seed
    itself anew, `threading` and `logging` would make new locks) are left out: in a process of one thread they only cost
    time, and what `random` says would not repeat.
    """
    names = [] if modules == FEW else [*_USUAL.split(), *_LINKED.split()]
    if modules == ALL:
        names += [*_OTHERS.split(), *(f"encodings.{name}" for name in _ENCODINGS.split())]
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some are deprecated
            for name in names:
                with contextlib.suppress(ImportError):  # not in this version of Python, or in this build
                    importlib.import_module(name)
            for source in [_WARM, _WARM_USUAL] if names else [_WARM]:
                exec(compile(source, "<warm>", "exec"), {"__name__": "builtins"})  # noqa: S102
    finally:
        os.register_at_fork = register
    if names:
        importlib.import_module("random").seed(0)  # every child starts with the same numbers
        with contextlib.suppress(OSError):
            ctypes.CDLL("libgcc_s.so.1")  # which the C library looks for when a thread ends by itself
    gc.collect()


def preload_installed(names: list[str], folders: list[str]) -> None:
    """Import modules from these folders, which are out of reach afterwards.

    Raises:
        ImportError: one can't be imported.
        RuntimeError: one has started threads: no process that has several can be forked safely.
    """
    path = list(sys.path)
    sys.path += folders
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in names:
                importlib.import_module(name)
    finally:
        sys.path[:] = path
    sys.path_importer_cache.clear()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(0)  # as the standard library's
    with contextlib.suppress(FileNotFoundError):  # no /proc
        threads = len(os.listdir("/proc/self/task"))
        if threads > 1:
            raise RuntimeError(
                f"the modules {', '.join(names)} have started {threads - 1} threads, which no fork keeps"
            )
    gc.collect()
