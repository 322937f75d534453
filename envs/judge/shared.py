"""One judge for all in a process that ask for the same isolation: made for the first of them, closed with the last."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textmdp.envs.judge import Judge

_lock = threading.Lock()
_shared: dict[tuple[str, tuple[str, ...]], tuple[Judge, weakref.WeakSet[object]]] = {}

# A process that is forked while another thread holds the lock would wait for it forever.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def acquire(isolation: str, user: object, modules: tuple[str, ...] = ()) -> Judge:
    """The judge of all users of this isolation and these modules; `user` is one until it releases it or is collected.

    Raises:
        ValueError, ModuleNotFoundError: as `Judge`.
    """
    from textmdp.envs.judge import Judge

    with _lock:
        key = isolation, modules
        if key not in _shared:
            _shared[key] = Judge(isolation=isolation, modules=modules), weakref.WeakSet()
        judge, users = _shared[key]
        users.add(user)
        return judge


def release(isolation: str, user: object, modules: tuple[str, ...] = ()) -> None:
    """End the use by `user`; the judge closes with its last user, and the next `acquire` makes a new one."""
    with _lock:
        key = isolation, modules
        if key not in _shared or user not in _shared[key][1]:
            return
        judge, users = _shared[key]
        users.discard(user)
        if users:
            return
        del _shared[key]
    judge.close()
