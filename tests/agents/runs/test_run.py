import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toys import Echo
from transformers import AutoModelForCausalLM, AutoTokenizer

from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.scripted import RandomAgent
from textmdp.agents.runs.doctor import Finding
from textmdp.agents.runs.run import Run, fingerprint
from textmdp.envs import ByteTokenizer, LexiconTokenizer, TokenVectorEnv

TOKENIZER = LexiconTokenizer(Echo().vocabulary())


def create(folder, **changes):
    given = {"env_id": "TextMath-v0", "arguments": {"difficulty": "one-digit"}, "settings": {"updates": 3}, "seed": 7}
    return Run.create(
        folder, **{**given, "held_out": True, "tokenizer": TOKENIZER, "command": "textmdp train …", **changes}
    )


def tiny():
    return LanguageModel.tiny(TOKENIZER, 32, layers=1, width=16, heads=2)


def test_the_config_holds_everything_to_repeat_the_run(tmp_path):
    create(tmp_path / "deep" / "run")
    config = Run.open(tmp_path / "deep" / "run").config
    assert (config["id"], config["arguments"], config["seed"]) == ("TextMath-v0", {"difficulty": "one-digit"}, 7)
    assert config["settings"] == {"updates": 3}
    assert config["command"] == "textmdp train …"
    assert {"python", "torch", "numpy", "textmdp"} <= config["versions"].keys()


def test_metrics_are_on_disk_line_by_line_and_in_tensorboard(tmp_path):
    run = create(tmp_path)
    for update in (1, 2, 3):
        run.log({"update": update, "return": update / 2, "kl": float("nan")}, step=update)
        assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == update
    run.close()
    assert run.metrics()[1] == {"update": 2, "return": 1.0, "kl": None}
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("return")] == [(1, 0.5), (2, 1.0), (3, 1.5)]


def test_a_line_cut_short_by_a_crash_is_left_out_and_a_broken_one_is_reported(tmp_path):
    run = create(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"update": 1}\n{"upda')
    assert run.metrics() == [{"update": 1}]
    path.write_text('{"update": 1}\n{"upda\n{"update": 3}\n')
    with pytest.raises(ValueError, match=r"metrics.jsonl, line 2"):
        run.metrics()


def test_findings_are_on_disk_line_by_line(tmp_path):
    run = create(tmp_path)
    assert run.findings() == []
    run.log_finding(3, Finding("clipped", "warning", "60 % of the tokens are clipped", "fewer epochs"))
    run.log_finding(9, Finding("kl", "error", "it’s \u2028 far", "stop"))
    first, second = Run.open(tmp_path).findings()
    finding = {"name": "clipped", "severity": "warning", "message": "60 % of the tokens are clipped"}
    assert first == {"update": 3, **finding, "remedy": "fewer epochs"}
    assert second["message"] == "it’s \u2028 far"
    (tmp_path / "findings.jsonl").unlink()  # as in a run of an older version
    assert run.findings() == []


def test_what_was_logged_after_a_checkpoint_is_dropped_with_it(tmp_path):
    run = create(tmp_path)
    assert run.load_checkpoint() is None
    run.log({"imitation/step": 5}, step=5)
    for update in (1, 2, 3):
        run.log({"update": update}, step=update)
        run.log_finding(update, Finding(f"n{update}", "warning", "", ""))
    run.close()
    run.save_checkpoint({"update": 2})
    with (tmp_path / "findings.jsonl").open("a") as stream:
        stream.write('{"update": 1, "na')  # the machine stopped here
    assert run.load_checkpoint() == {"update": 2}
    assert run.metrics() == [{"imitation/step": 5}, {"update": 1}, {"update": 2}]
    assert [row["name"] for row in run.findings()] == ["n1", "n2"]
    run.log_finding(3, Finding("n3", "warning", "", ""))
    assert [row["name"] for row in run.findings()] == ["n1", "n2", "n3"]


def test_the_model_opens_in_transformers_and_here(tmp_path):
    run, model = create(tmp_path), tiny()
    run.save_model(model)
    run.save_model(model)  # in place of the first
    network, tokenizer = (cls.from_pretrained(tmp_path / "model") for cls in (AutoModelForCausalLM, AutoTokenizer))
    assert tokenizer("say 17: ")["input_ids"] == TOKENIZER.encode("say 17: ")
    again = run.load_model(TOKENIZER)
    ids = torch.tensor([TOKENIZER.encode("say 17: ")])
    with torch.no_grad():
        expected = model.network(ids).logits
        assert torch.equal(network(ids).logits, expected)
        assert torch.equal(again.network(ids).logits, expected)
    envs = TokenVectorEnv(Echo(), 4, autoreset_mode="Disabled", context_length=32)
    assert evaluate(run.agent(TOKENIZER), envs, episodes=4, seed=0).episodes == 4


def test_a_model_is_not_fed_the_tokens_of_another_vocabulary(tmp_path):
    run = create(tmp_path)
    with pytest.raises(FileNotFoundError, match="no model yet"):
        run.load_model(TOKENIZER)
    run.save_model(tiny())
    with pytest.raises(ValueError, match=r"vocabulary of 19 tokens.*259.*TextMath-v0 difficulty=one-digit"):
        run.load_model(ByteTokenizer())
    shuffled = LexiconTokenizer(Echo().vocabulary()[::-1])
    assert fingerprint(shuffled)["vocab_size"] == 19
    with pytest.raises(ValueError, match="vocabulary"):
        run.load_model(shuffled)


def test_evaluations_are_kept_by_name(tmp_path):
    run = create(tmp_path)
    assert run.evaluations() == {}
    result = evaluate(RandomAgent(0), TokenVectorEnv(Echo(), 4, autoreset_mode="Disabled"), episodes=4, seed=0)
    run.save_evaluation("imitation", result)
    run.save_evaluation("final", result)
    assert Run.open(tmp_path).evaluations() == {"imitation": result, "final": result}


def test_a_folder_in_use_is_refused_with_the_fix(tmp_path):
    run = create(tmp_path)
    run.save_model(tiny())
    run.log({"update": 1}, step=1)
    run.close()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty: choose another --out, or --overwrite"):
        create(tmp_path)
    create(tmp_path, overwrite=True, seed=8)
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "findings.jsonl",
        "metrics.jsonl",
        "notes.txt",
    ]
    assert Run.open(tmp_path).metrics() == []


def test_a_run_that_logged_nothing_is_overwritten(tmp_path):
    create(tmp_path)
    create(tmp_path, seed=8)
    assert Run.open(tmp_path).config["seed"] == 8
    run = create(tmp_path)
    run.log({"update": 1}, step=1)
    run.close()
    with pytest.raises(FileExistsError, match="not empty"):
        create(tmp_path)


def test_a_folder_that_is_no_run_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "model").mkdir()
    with pytest.raises(FileExistsError, match="holds files but no run"):
        create(tmp_path, overwrite=True)
    assert (tmp_path / "model").is_dir()
    with pytest.raises(FileExistsError, match="is a file"):
        create(tmp_path / "thesis.tex")


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no agent or run '.*nowhere'"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        Run.open(tmp_path)
    (tmp_path / "config.json").write_text('{\n"id": }')
    with pytest.raises(ValueError, match=r"config\.json, line 2"):
        Run.open(tmp_path)


def test_arguments_that_json_cannot_hold_are_refused(tmp_path):
    with pytest.raises(TypeError, match="plain JSON values"):
        create(tmp_path, arguments={"tokenizer": object()})
