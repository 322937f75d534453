"""Every known attack is held: at the best tier and by Landlock and seccomp alone, for root and for an ordinary user."""

from __future__ import annotations

import os
import sys

import attacks
import own_attacks
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is for Linux")

NOBODY = 65534
AS_ROOT = os.getuid() == 0 if hasattr(os, "getuid") else False


@pytest.fixture(scope="module")
def programs():
    """The shared corpus, where it is, and our own."""
    return [*attacks.corpus(), *own_attacks.ATTACKS]


def test_the_shared_corpus_is_at_hand():
    if not attacks.CORPUS.is_file():
        pytest.skip(f"no attacks at {attacks.CORPUS}: only our own were tried")
    assert len(attacks.corpus()) >= 77


@pytest.mark.parametrize(
    ("isolation", "user"),
    [
        pytest.param("best", None, id="best"),
        pytest.param("B", None, id="B"),
        pytest.param("best", NOBODY, id="best-nobody"),
        pytest.param("B", NOBODY, id="B-nobody"),
    ],
)
def test_all_attacks_are_held(programs, isolation, user):
    if user is not None and not AS_ROOT:
        pytest.skip("only root can become another user; the other tests ran as an ordinary one")
    report = attacks.run(programs, isolation, user)
    if report.unavailable:
        pytest.skip(report.unavailable)
    assert len(report.outcomes) == len(programs) + 1
    assert all(outcome.held for outcome in report.outcomes), attacks.table(report)


def test_the_harness_would_notice():
    """Without a sandbox these do what they are meant to; none of them harms anything but its own mark."""
    if AS_ROOT and attacks.interpreter_for(NOBODY) is None:
        pytest.skip("no Python that an ordinary user may execute, and root should not try these")
    names = ["own_net_every_family", "own_fs_roots_of_others", "own_fs_sacrifice_by_path", "own_signal_by_descriptors"]
    for attack in own_attacks.ATTACKS:
        if attack["name"] in names:
            report = attacks.run([attack], "process-only-unsafe", NOBODY if AS_ROOT else None, workers=1)
            assert not report.unavailable
            assert not report.outcomes[0].held, attack["name"]
            names.remove(attack["name"])
    assert not names


def test_own_attacks_are_well_formed():
    names = [attack["name"] for attack in own_attacks.ATTACKS]
    assert len(set(names)) == len(names)
    assert not {attack["name"] for attack in attacks.corpus()} & set(names)
    for attack in own_attacks.ATTACKS:
        assert attack["expect"]["score"] in (0, 1)
        assert attack["expect"]["held_means"]
        assert attack["task"]["kind"] in ("call", "tests", "stdin")
