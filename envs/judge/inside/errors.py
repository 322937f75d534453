"""What is raised where a layer can't be put in place, and what a person can do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

_NAMESPACES = (
    "as root, or in a container with CAP_SYS_ADMIN, namespaces need no more; an ordinary user needs user namespaces: "
    "sysctl user.max_user_namespaces above 0"
)
_DOCKER = "in Docker, `--security-opt seccomp=unconfined`, or a profile that allows unshare, mount and pivot_root"
_SWITCHES = {
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "0", "Ubuntu from 24.04"),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "1", "Debian"),
    "/proc/sys/user/max_user_namespaces": ("0", "15000", "a limit on user namespaces"),
}


class SandboxError(OSError):
    """A layer of the sandbox could not be put in place, or something is left that should be gone.

    Attributes: layer ("namespaces", "landlock", "seccomp", "limits", "sweep"), step (what was being done), remedy (what
    to do about it, or ""), and errno.
    """

    def __init__(self, layer: str, step: str, number: int) -> None:
        self.layer, self.step, self.remedy = layer, step, _remedy(layer, number)
        told = f"{layer}: can't {step}: {os.strerror(number)}"
        super().__init__(number, f"{told}; {self.remedy}" if self.remedy else told)

    def __reduce__(self) -> tuple[type[SandboxError], tuple[str, str, int]]:
        return SandboxError, (self.layer, self.step, self.errno or 0)


@contextmanager
def doing(layer: str, step: str) -> Iterator[None]:
    """Turn an OSError of the block into one that says what was being done."""
    try:
        yield
    except SandboxError:
        raise
    except OSError as error:
        raise SandboxError(layer, step, error.errno or 0) from error


def _remedy(layer: str, number: int) -> str:
    if layer == "namespaces":
        return "; ".join([*_switched_off(), _NAMESPACES, _DOCKER])
    if layer == "landlock":
        if number == errno.EOPNOTSUPP:
            return "Landlock is built in but off: add it to the kernel's `lsm=` parameter (lsm=landlock,…)"
        if number == errno.ENOSYS:
            return "Landlock needs Linux 5.13 or newer built with CONFIG_SECURITY_LANDLOCK; gVisor has none"
        return "a container's seccomp profile from before 2022 refuses Landlock: update Docker (20.10.22) or containerd"
    if layer == "seccomp":
        return "seccomp filters need Linux built with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64"
    return ""


def _switched_off() -> list[str]:
    """The switches of this machine that forbid user namespaces."""
    told = []
    for path, (off, on, where) in _SWITCHES.items():
        try:
            with open(path) as file:
                value = file.read().strip()
        except OSError:
            continue
        if value == off:
            told.append(f"sysctl {path[10:].replace('/', '.')}={on} ({where}; it is {off})")
    return told
