"""What all tests share."""

import pytest

import textmdp.agents  # noqa: F401  # before torch: it says how its threads should wait


@pytest.fixture(scope="module")
def one_thread():
    """Tensors this small gain nothing from a second one, and wait for it where the machine is busy."""
    import torch  # which a plain installation lacks

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
