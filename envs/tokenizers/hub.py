"""The Hugging Face hub without its patience: where it can't be reached, its libraries look into their cache at once."""

from __future__ import annotations

import importlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

#: Seconds after which the hub counts as unreachable. Its libraries try six times, for half a minute and longer.
PATIENCE = 1.0


@contextmanager
def hub_or_cache() -> Iterator[None]:
    """Within this context the hub's libraries are offline if the hub doesn't answer within `PATIENCE` seconds.

    Offline, they take what is in their cache, and raise at once for anything else.
    """
    if is_reachable():
        yield
        return
    changed = []
    try:
        for name in ("huggingface_hub.constants", "datasets.config"):  # each keeps a flag of its own
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue
            changed.append((module, module.HF_HUB_OFFLINE))
            module.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
        yield
    finally:
        for module, before in changed:
            module.HF_HUB_OFFLINE = before  # type: ignore[attr-defined]


def is_reachable() -> bool:
    """True if the hub accepts a connection within `PATIENCE` seconds, or would be asked through a proxy."""
    url = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    if url.scheme in getproxies() or not url.hostname:
        return True
    address = url.hostname, url.port or (80 if url.scheme == "http" else 443)
    connected = threading.Event()

    def connect() -> None:
        try:
            with socket.create_connection(address, timeout=PATIENCE):
                connected.set()
        except OSError:
            return

    # A thread, since no timeout holds for the look-up of the name.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(PATIENCE)
    return connected.is_set()
