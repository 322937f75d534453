"""The report of a run, one HTML page without scripts, fonts or images from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textmdp.agents.evaluation.evaluate import Evaluation
from textmdp.agents.evaluation.rows import evaluation_rows, share
from textmdp.agents.runs.charts import Point, learning_curve, time_split
from textmdp.agents.runs.run import Run
from textmdp.envs.core.task import Score
from textmdp.envs.views.rendering import ledger, visible

#: Titles of the evaluations of a run, in their order.
STAGES = {"untrained": "before training", "imitation": "after imitation", "final": "after reinforcement"}

#: Titles of the metrics of time.
TIMES = {
    "seconds_env": "environment",
    "seconds_reward": "reward",
    "seconds_decoding": "decoding",
    "seconds_update": "update",
    "seconds_evaluation": "evaluation",
}


def write_report(run: Run) -> Path:
    """Write report.html of a run, finished or not; returns its path."""
    path = run.folder / "report.html"
    fresh = path.with_suffix(".html.new")
    fresh.write_text(page(run.config, run.metrics(), run.evaluations(), run.findings()), encoding="utf-8")
    fresh.replace(path)
    return path


def page(
    config: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    evaluations: Mapping[str, Evaluation],
    findings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the HTML page of a run.

    Args:
        config: the content of config.json.
        metrics: the lines of metrics.jsonl.
        evaluations: by stage, see `STAGES`.
        findings: the lines of findings.jsonl.
    """
    title = f"{config['id']} · a run of textmdp"
    stages = {STAGES[name]: evaluations[name] for name in STAGES if name in evaluations}
    sections = [
        _section("Learning curve", _curve(config, metrics, evaluations)),
        _section("Warnings", _findings(findings)),
        _section("Time", time_split(times(metrics))),
        _section("Evaluation", _evaluation_table(config, stages)),
        _section("Transcripts", _transcripts(stages)),
        _section("Settings", _settings(config)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{_text(config['id'])}</h1>{_headline(config, metrics, evaluations)}</header>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def points_of(metrics: Sequence[Mapping[str, Any]], evaluations: Mapping[str, Evaluation]) -> list[Point]:
    """Return the accuracies of a run in order of updates, those after imitation (at 0) and at the end among them."""
    measured = [
        Point(row["update"], row["evaluation/accuracy"], row["evaluation/low"], row["evaluation/high"])
        for row in metrics
        if row.get("evaluation/accuracy") is not None
    ]
    first = evaluations.get("imitation", evaluations.get("untrained"))
    if first is not None:
        measured.insert(0, Point(0, first.accuracy, *first.accuracy_interval))
    if (final := evaluations.get("final")) is not None:
        last = _last_update(metrics)
        measured = [point for point in measured if point.update < last]
        measured.append(Point(last, final.accuracy, *final.accuracy_interval))
    return measured


def times(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the seconds of each part of a run, by title, without parts that took none."""
    imitation = max((row.get("imitation/seconds") or 0.0 for row in metrics), default=0.0)
    spent = {"imitation": imitation}
    for key, name in TIMES.items():
        spent[name] = sum(row.get(key) or 0.0 for row in metrics)
    return {name: seconds for name, seconds in spent.items() if seconds > 0}


# Sections


def _headline(
    config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], evaluations: Mapping[str, Evaluation]
) -> str:
    given = ", ".join(f"{name} = {_json(value)}" for name, value in config["arguments"].items()) or "default arguments"
    before, after = evaluations.get("imitation", evaluations.get("untrained")), evaluations.get("final")
    lines = [f'<p class="given">{_text(given)} · seed {config["seed"]} · {_text(config["began"])}</p>']
    if before is not None and after is not None:
        kind, seconds = "held-out problems" if config["held_out"] else "problems", sum(times(metrics).values())
        lines.append(
            f'<p class="result"><span>{share(before.accuracy)}</span> → <strong>{share(after.accuracy)}</strong> '
            f"of {after.episodes} {kind} solved, before and after {_last_update(metrics)} updates; {seconds:.0f} s</p>"
        )
    else:
        lines.append(f'<p class="result">Ended early, after {_last_update(metrics)} updates.</p>')
    return "".join(lines)


def _curve(
    config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], evaluations: Mapping[str, Evaluation]
) -> str:
    measured, levels = points_of(metrics, evaluations), {}
    if (imitation := evaluations.get("imitation")) is not None:
        levels[STAGES["imitation"]] = imitation.accuracy
    training = [(row["update"], row["success"]) for row in metrics if row.get("success") is not None]
    if not measured and not training:
        return ""
    return learning_curve(measured, training, levels, _problems(config)) + _curve_table(measured)


def _curve_table(measured: Sequence[Point]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{p.update:g}</th><td>{share(p.accuracy)}</td><td>{share(p.low)} – {share(p.high)}</td></tr>"
        for p in measured
    )
    head = "<tr><th scope=col>update</th><th scope=col>accuracy</th><th scope=col>Wilson 95 %</th></tr>"
    return f"<details><summary>The curve in numbers</summary><table><thead>{head}</thead>{rows}</table></details>"


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    """The doctor's findings, in their order."""
    if not findings:
        return ""
    head = "".join(f"<th scope=col>{name}</th>" for name in ("update", "finding", "advice"))
    rows = "".join(
        f"<tr><th scope=row>{finding['update']}</th>"
        f"<td>{_text(finding['severity'])}: {_text(finding['message'])}</td><td>{_text(finding['remedy'])}</td></tr>"
        for finding in findings
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{rows}</table></div>'


def _evaluation_table(config: Mapping[str, Any], stages: Mapping[str, Evaluation]) -> str:
    if not stages:
        return ""
    head = "".join(f"<th scope=col>{_text(name)}</th>" for name in stages)
    rows = "".join(
        f"<tr><th scope=row>{_text(label)}</th>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"
        for label, *cells in evaluation_rows([*stages.values()])
    )
    return (
        f"<p>Greedy decoding on {_problems(config)}, the same ones at each stage. Brackets are 95 % intervals, "
        "Wilson’s for the accuracy. A turn ends by stop (the end-of-turn token) or by length (the budget of tokens). "
        "Scores are means of the parts of the reward, and of the task’s metrics.</p>"
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>{rows}</table></div>'
    )


def _transcripts(stages: Mapping[str, Evaluation]) -> str:
    """The same problems at each stage, side by side."""
    shown = {name: stage for name, stage in stages.items() if stage.transcripts}
    if not shown:
        return ""
    problems = [record["problem"] for record in [*shown.values()][-1].transcripts]
    blocks = []
    for problem in problems:
        cells = []
        for name, stage in shown.items():
            record = next((r for r in stage.transcripts if r["problem"] == problem), None)
            if record is not None:
                earned = f"return {record['return']:g}"
                cells.append(f"<article><h4>{_text(name)} <span>{earned}</span></h4>{_transcript(record)}</article>")
        blocks.append(f"<section><h3>problem {problem}</h3><div class=stages>{''.join(cells)}</div></section>")
    key = '<p><span class="environment">environment</span> <span class="policy">policy</span></p>'
    return key + "".join(blocks)


def _transcript(record: Mapping[str, Any]) -> str:
    """An episode of `transcripts.transcript`. A model wrote its texts: they are escaped, control characters shown."""
    scores = iter(record["scores"])
    parts = ['<p class="said">']
    ledgers = []
    for message in record["messages"]:
        role = message["role"]
        text = visible(message["text"])
        shown = _text(text) if text else '<i class="nothing">empty</i>'
        parts.append(f'<span class="hidden">{role}: </span><span class="{role}">{shown}</span>')
        if role == "policy":
            score = next(scores, None)
            ledgers.append("cut off: not graded" if score is None else ledger(Score(score["parts"], score["weights"])))
    parts.append("</p>")
    parts += [f'<p class="ledger">{_text(line)}</p>' for line in ledgers]
    ended = "" if record["terminated"] else ", truncated"
    parts.append(f'<p class="ledger">ended by {_text(record["finish_reason"] or "step limit")}{ended}</p>')
    return "".join(parts)


def _settings(config: Mapping[str, Any]) -> str:
    groups = {
        "Settings": config["settings"],
        "Environment": {"id": config["id"], **config["arguments"], "vocabulary": config["tokenizer"]["vocab_size"]},
        "Machine": {**config["versions"], "platform": config["platform"]},
    }
    tables = "".join(
        f"<div><h3>{_text(name)}</h3><table>"
        + "".join(f"<tr><th scope=row>{_text(k)}</th><td>{_text(_json(v))}</td></tr>" for k, v in group.items())
        + "</table></div>"
        for name, group in groups.items()
    )
    again = f"<p>Repeat the run with <code>{_text(config['command'])}</code></p>" if config.get("command") else ""
    return f"{again}<details><summary>All settings</summary><div class=settings>{tables}</div></details>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{body}</section>" if body else ""


def _problems(config: Mapping[str, Any]) -> str:
    """The problems of the evaluations; a task without splits can hold none out."""
    return "held-out problems" if config["held_out"] else "training problems"


def _last_update(metrics: Sequence[Mapping[str, Any]]) -> int:
    return int(max((row.get("update") or 0 for row in metrics), default=0))


def _text(text: str) -> str:
    return html.escape(text)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Colours are Okabe and Ito's, which people with any kind of colour vision tell apart; darker for text on white.
STYLE = """
:root { --paper: #fff; --ink: #1b1f24; --soft: #5b6570; --faint: #e3e7eb; --card: #f6f8fa;
  --line: #0067a8; --band: #0067a826; --behind: #8a94a0; --level: #b34d00; --environment: #005f8a; --policy: #9a4200;
  --policy-paper: #fdf0e3; --p1: #cc79a7; --p2: #009e73; --p3: #56b4e9; --p4: #f0e442; --p5: #e69f00; --p6: #999; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e4e8ec; --soft: #9aa4af; --faint: #2d333a; --card: #1c2126;
    --line: #56b4e9; --band: #56b4e933; --behind: #6f7a86; --level: #f0a04b; --environment: #7cc7f0; --policy: #f5b26b;
    --policy-paper: #33271a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -.02em; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.25rem; border-bottom: 1px solid var(--faint); padding-bottom: .3rem; }
h3 { margin: 1.25rem 0 .5rem; font-size: .95rem; color: var(--soft); font-weight: 600; overflow-wrap: anywhere; }
h4 { display: flex; justify-content: space-between; margin: 0 0 .4rem;
  font-size: .8rem; color: var(--soft); font-weight: 600; }
.given, figcaption, .ledger { color: var(--soft); }
.given { margin: .2rem 0; overflow-wrap: anywhere; }
.result { font-size: 1.35rem; margin: .6rem 0 0; }
.result strong { color: var(--line); }
figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg text.of-level { fill: var(--level); } svg text.inside { fill: #10151a; font-weight: 600; }
.grid { stroke: var(--faint); } .level { stroke: var(--level); stroke-width: 1.5; stroke-dasharray: 6 4; }
.band { fill: var(--band); } .line { fill: none; stroke: var(--line); stroke-width: 2.5; stroke-linejoin: round; }
.behind { fill: none; stroke: var(--behind); stroke-width: 1; opacity: .75; } .dot { fill: var(--line); }
.part-1 { fill: var(--p1); background: var(--p1); } .part-2 { fill: var(--p2); background: var(--p2); }
.part-3 { fill: var(--p3); background: var(--p3); } .part-4 { fill: var(--p4); background: var(--p4); }
.part-5 { fill: var(--p5); background: var(--p5); } .part-6 { fill: var(--p6); background: var(--p6); }
@media (max-width: 40rem) { svg text { font-size: 19px; } }
figcaption { font-size: .875rem; margin-top: .4rem; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .1em 0 .9em; }
.key:first-child { margin-left: 0; } .key-line { background: var(--line); } .key-behind { background: var(--behind); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .28rem 1.2rem .28rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--faint); }
thead th { color: var(--soft); } tbody th { font-weight: 400; } .wide { overflow-x: auto; }
td { overflow-wrap: anywhere; }
details { margin-top: .75rem; } summary { cursor: pointer; color: var(--soft); }
.stages { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem; }
article { background: var(--card); border: 1px solid var(--faint); border-radius: 8px; min-width: 0;
  padding: .7rem .9rem; }
.said { margin: 0 0 .4rem; white-space: break-spaces; overflow-wrap: anywhere; unicode-bidi: isolate;
  font: 1rem/1.6 ui-monospace, monospace; }
.environment { color: var(--environment); }
.policy { color: var(--policy); background: var(--policy-paper); border-radius: 3px; font-weight: 600; }
.nothing { font-weight: 400; opacity: .8; } .ledger { margin: 0; font-size: .8rem; }
.settings { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 1.5rem; }
code { background: var(--card); padding: .15em .4em; border-radius: 4px; overflow-wrap: anywhere; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
"""
