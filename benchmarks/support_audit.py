"""An audit of the simulated customer of TextSupport: experts, policies that cheat, leaks and untruths.

    python -m textmdp.benchmarks.support_audit

Every policy plays the same scenarios, of every level in turn. Experts must resolve all of them: the dialogues that they
don't resolve are failures of the customer. Policies that cheat must resolve at most 5 %. In every dialogue,

- a *leak* is a fact that the customer tells without having been asked for it;
- a *false resolution* is an issue that counts as resolved while the records, compared here once more, are not as the
  policy wants them, and a *false farewell* is a customer who is content with an issue that is not resolved;
- a *missed lie* is a false claim that the customer answers as if it were true.

Output, in `--out`: `support_audit.json`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textmdp.benchmarks.common import RESULTS, provenance, write_json
from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.tasks.text_support import TextSupport
from textmdp.envs.tasks.text_support.dialogue import Dialogue, judge
from textmdp.envs.tasks.text_support.expert import SENTENCES, next_act, write
from textmdp.envs.tasks.text_support.phrases import PHRASES
from textmdp.envs.tasks.text_support.policy import TEXT, outcome
from textmdp.envs.tasks.text_support.scenarios import LEVELS
from textmdp.envs.tasks.text_support.tools import TOOLS, Call, run
from textmdp.envs.tasks.text_support.user import facts_of

#: The share of resolved dialogues above which a policy that cheats fails the audit.
BAR = 0.05


class Seen(NamedTuple):
    """The view of a policy on a dialogue."""

    messages: tuple[str, ...]
    """Of the environment and the policy, in turn."""
    state: Dialogue
    """The hidden state, which experts alone read."""
    rng: np.random.Generator

    @property
    def turn(self) -> int:
        """The number of own responses so far."""
        return len(self.messages) // 2

    @property
    def heard(self) -> str:
        """The last message of the environment, without the markers of speakers."""
        return re.sub(r"\n?(customer|system|agent): ", "", self.messages[-1])

    @property
    def number(self) -> str:
        """The last number of three digits or more that was named; "" for none."""
        found = re.findall(r"\b\d{3,}\b", " ".join(self.messages)) or re.findall(r"\b\d\b", self.messages[0])
        return found[-1] if found else ""

    @property
    def name(self) -> str:
        """The customer's name as it was told; "Ann" for a guess."""
        found = re.findall(r"(?:for|I am|name is|It is|under) ([A-Z]\w+)|([A-Z]\w+) here\.", " ".join(self.messages))
        return next((name for pair in reversed(found) for name in pair if name), "Ann")


Policy = Callable[[Seen], str]


# Experts


def expert(seen: Seen) -> str:
    """The task's expert."""
    return write(next_act(seen.state), seen.state, int(seen.rng.integers(1 << 16)))


def polite_expert(seen: Seen) -> str:
    """An expert that greets, apologises and thanks in every sentence."""
    act = next_act(seen.state)
    text = write(act, seen.state, seen.turn)
    if isinstance(act, Call):
        return text
    lead = ("Hello, thank you for writing. ", "I am so sorry about that. ", "Thanks a lot! ")[seen.turn % 3]
    return f"{lead}{text}"


def slow_expert(seen: Seen) -> str:
    """An expert that asks for a moment first, and looks up the order again before it answers."""
    act = next_act(seen.state)
    if not seen.state.scenario.strict:  # where there is no turn to lose
        return write(act, seen.state, seen.turn)
    if seen.turn == 0 and len(seen.state.scenario.issues) == 1:
        return "One moment, please."
    calls = [message for message in seen.messages[1::2] if message.startswith(("lookup_order", "track"))]
    late = seen.turn < seen.state.scenario.patience and len(calls) == 1 and seen.messages[-2] == calls[0]
    return calls[0] if late and not isinstance(act, Call) else write(act, seen.state, seen.turn)


# Policies that cheat


def silent(seen: Seen) -> str:
    """Says nothing."""
    return ""


def echo(seen: Seen) -> str:
    """Repeats the last message."""
    return seen.heard


def apologetic(seen: Seen) -> str:
    """Apologises for ever."""
    return ("I am so sorry.", "Please accept our apologies.", "We are very sorry for the trouble.")[seen.turn % 3]


def promising(seen: Seen) -> str:
    """Promises everything."""
    deeds = ("refund you", "send you a new one", "cancel your order", "change the address", "unlock your account")
    return f"I will {deeds[seen.turn % len(deeds)]} right away."


def claiming(seen: Seen) -> str:
    """Claims success."""
    return ("It is done.", "Your problem is solved.", "I have taken care of everything.")[seen.turn % 3]


def lying(seen: Seen) -> str:
    """Claims one deed or reason after the other, beginning with any."""
    claims = [act for act in SENTENCES if not act.startswith("ask_")]
    first = int(turn_generator(seen.state.scenario.phrase, 0).integers(len(claims)))
    sentence = SENTENCES[claims[(first + seen.turn) % len(claims)]][0]
    return sentence.format(days="3 days", city="Oslo")


def claiming_all(seen: Seen) -> str:
    """Claims every deed and every reason at once."""
    return " ".join(SENTENCES[act][0].format(days="3 days", city="Oslo") for act in SENTENCES if "ask_" not in act)


def calling(seen: Seen) -> str:
    """Calls every tool."""
    tool = list(TOOLS)[seen.turn % len(TOOLS)]
    arguments = {"ORDER": seen.number or "1", "NAME": seen.name, "CODE": seen.number or "100", "CITY": "Oslo"}
    return " ".join((tool, *(arguments[kind] for kind in TOOLS[tool].arguments)))


def asking(seen: Seen) -> str:
    """Asks every question."""
    asks = [act for act in SENTENCES if act.startswith("ask_")]
    return SENTENCES[asks[seen.turn % len(asks)]][1]


def _for_everybody(seen: Seen, looks: tuple[str, ...], deed: str, claim: str) -> str:
    """Asks for the number, looks, does the deed if there is one, and claims."""
    if not seen.number:
        return "Which order is it?"
    done = [message.partition(" ")[0] for message in seen.messages[1::2]]
    for tool in (*looks, deed) if deed else looks:
        if tool not in done:
            return f"{tool} {seen.number}"
    return claim


def refunding(seen: Seen) -> str:
    """Refunds everybody, and says so."""
    return _for_everybody(seen, (), "refund", "You have your money back.")


def refunding_after_looks(seen: Seen) -> str:
    """Looks up order, parcel, payment and stock, refunds everybody, and says so."""
    return _for_everybody(seen, ("lookup_order", "track", "check_payment", "check_stock"), "refund", "It is refunded.")


def replacing(seen: Seen) -> str:
    """Looks up the order and the stock, sends everybody a new one, and says so."""
    return _for_everybody(seen, ("lookup_order", "check_stock"), "replace", "A new one is on its way.")


def refusing(seen: Seen) -> str:
    """Refuses everything, without a reason."""
    return ("Sorry, that is not possible.", "I can't do that.", "We don't do that.")[seen.turn % 3]


def refusing_after_looks(seen: Seen) -> str:
    """Looks up the order, and tells everybody that the thirty days are over."""
    return _for_everybody(seen, ("lookup_order",), "", "Sorry, the 30 days are over.")


def pasting(seen: Seen) -> str:
    """Pastes the policy's text."""
    return TEXT


def rambling(seen: Seen) -> str:
    """Writes random words of the experts' sentences."""
    words = " ".join(sentence for sentences in SENTENCES.values() for sentence in sentences).split()
    return " ".join(words[k] for k in seen.rng.integers(len(words), size=6))


def random_sentences(seen: Seen) -> str:
    """Writes random sentences of the experts, and random calls."""
    if seen.rng.random() < 0.5:
        tool = list(TOOLS)[int(seen.rng.integers(len(TOOLS)))]
        arguments = {"ORDER": seen.number or "1", "NAME": seen.name, "CODE": seen.number or "100", "CITY": "Oslo"}
        return " ".join((tool, *(arguments[kind] for kind in TOOLS[tool].arguments)))
    sentences = [sentence for act in SENTENCES.values() for sentence in act]
    return sentences[int(seen.rng.integers(len(sentences)))].format(days="3 days", city="Oslo")


EXPERTS: dict[str, Policy] = {"expert": expert, "polite expert": polite_expert, "slow expert": slow_expert}
CHEATS: dict[str, Policy] = {
    "silent": silent,
    "echo": echo,
    "apologises for ever": apologetic,
    "promises everything": promising,
    "claims success": claiming,
    "lies in turn": lying,
    "claims all at once": claiming_all,
    "calls every tool": calling,
    "asks every question": asking,
    "refunds everybody": refunding,
    "looks, refunds everybody": refunding_after_looks,
    "refuses everything": refusing,
    "looks, refuses everybody": refusing_after_looks,
    "pastes the policy": pasting,
    "random words": rambling,
    "random sentences": random_sentences,
}
#: Bots that can do one thing. They cheat nobody, so the bar is not for them.
SPECIALISTS: dict[str, Policy] = {"looks, replaces for everybody": replacing}
#: Phrases of a content customer, and of one who caught a lie.
_CONTENT = frozenset(p for intent in ("done", "refused", "informed") for ps in PHRASES[intent].values() for p in ps)
_FOUND_OUT = frozenset(
    p for intent in ("false", "contradiction", "give_up") for ps in PHRASES[intent].values() for p in ps
)


class Findings(NamedTuple):
    """The findings of one dialogue."""

    resolved: bool
    turns: int
    leaks: int
    false_resolutions: int
    false_farewells: int
    lies: int
    missed_lies: int
    messages: tuple[str, ...]


def audit(task: TextSupport, index: int, policy: Policy) -> Findings:
    """The findings of one dialogue of a policy in scenario `index`."""
    state, opening = task.problem(index)
    messages: tuple[str, ...] = (opening,)
    leaks = false_resolutions = false_farewells = lies = missed = 0
    done = False
    while not done:
        turn = len(messages) // 2
        response = policy(Seen(messages, state, turn_generator(index, 1000 + turn)))
        reply = task.reply(state, response, turn_generator(index, turn))
        before, state, done = state, reply.state, reply.done
        said = reply.text.removesuffix("\nagent: ").partition(": ")[2]
        messages += (response, reply.text)
        if not reply.text.startswith("\ncustomer: "):
            continue
        judged = judge(before, response)
        settled = state.resolved or state.mind.issue > before.mind.issue
        if settled:
            false_resolutions += not _as_wanted(before)
        else:
            leaks += len(_leaks(before, state, judged.acts, said))
        false_farewells += said in _CONTENT and not state.resolved
        lies += judged.false > 0
        missed += judged.false > 0 and (settled or said not in _FOUND_OUT)
    return Findings(state.resolved, state.turns, leaks, false_resolutions, false_farewells, lies, missed, messages)


def _as_wanted(state: Dialogue) -> bool:
    """True if the records are those of the right outcome: computed from the order alone, field by field."""
    right = outcome(facts_of(state.scenario, state.mind), state.before)
    wanted = state.before if right.call is None else run(right.call, state.before).records
    return wanted == state.records and not state.broken


def _leaks(before: Dialogue, after: Dialogue, acts: frozenset[str], said: str) -> frozenset[str]:
    """The facts that a customer's answer gives away although nobody asked for them."""
    issue = before.scenario.issues[before.mind.issue]
    asked = {act.removeprefix("ask_") for act in acts if act.startswith("ask_")}
    allowed = asked | before.mind.told
    if "kind" in asked:
        allowed |= {"item", "want"}
    if "number" in asked:
        allowed |= {"number_unknown"}
    words = set(re.findall(r"\w+", said))
    values = {"number": issue.number, "code": before.scenario.code, "name": before.scenario.name, "city": issue.city}
    known = {str(value) for fact, value in values.items() if fact in allowed}  # a postcode may be the order's number
    spoken = {fact for fact, value in values.items() if value and str(value) in words - known}
    return (after.mind.told | spoken) - allowed


def report(name: str, policy: Policy, dialogues: int, levels: tuple[str, ...], seed: int) -> dict[str, Any]:
    """The findings of a policy, summed over dialogues at all levels in turn."""
    tasks = [TextSupport(level, split="all", seed=seed) for level in levels]
    found = [audit(tasks[k % len(tasks)], k // len(tasks), policy) for k in range(dialogues)]
    by_level = {
        level: round(sum(f.resolved for f in found[k :: len(tasks)]) / max(1, len(found[k :: len(tasks)])), 4)
        for k, level in enumerate(levels)
    }
    row = {"policy": name, "resolved": round(sum(f.resolved for f in found) / dialogues, 4), "by_level": by_level}
    row["turns"] = round(sum(f.turns for f in found) / dialogues, 2)
    for field in ("leaks", "false_resolutions", "false_farewells", "lies", "missed_lies"):
        row[field] = sum(getattr(f, field) for f in found)
    return row


def problems(row: dict[str, Any]) -> Iterator[str]:
    """The points in which a policy's row fails the audit."""
    name = row["policy"]
    if name in EXPERTS and row["resolved"] < 1:
        yield f"{name} resolves {row['resolved']:.2%} and not all"
    if name in CHEATS and row["resolved"] > BAR:
        yield f"{name} resolves {row['resolved']:.2%}, more than {BAR:.0%}"
    for field in ("leaks", "false_resolutions", "false_farewells", "missed_lies"):
        if row[field]:
            yield f"{name} has {row[field]} {field.replace('_', ' ')}"


def main() -> None:
    """Run the audit, print a line for each policy, and write the results; exit with 1 if it fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialogues", type=int, default=10_000, help="of each policy (default: %(default)s)")
    parser.add_argument("--levels", nargs="+", default=list(LEVELS), help="difficulties (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the scenarios (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    rows = []
    for name, policy in {**EXPERTS, **CHEATS, **SPECIALISTS}.items():
        rows.append(report(name, policy, arguments.dialogues, tuple(arguments.levels), arguments.seed))
        print(json.dumps(rows[-1]), flush=True)
    wrong = [problem for row in rows for problem in problems(row)]
    figures = {"dialogues": arguments.dialogues, "policies": rows, "problems": wrong}
    write_json({**figures, **provenance("support_audit")}, arguments.out / "support_audit.json")
    print("\n".join(wrong) or "The audit found nothing.")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
