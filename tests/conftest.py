"""Fixtures of all tests."""

import signal

import pytest

import textmdp.agents  # noqa: F401  # before torch: it says how its threads should wait

# A shell that starts pytest in the background lets it ignore Ctrl-C, which tests send to it and to its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def one_thread():
    """Let torch use one thread: small tensors gain nothing from a second one, and wait for it on a busy machine."""
    import torch  # which a plain installation lacks

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
