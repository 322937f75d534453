"""The documentation's code runs, its commands exist, and its paths lead somewhere; `make docs` builds the site.

- Python blocks run in order, in one fresh namespace and process a page, with warnings as errors. The lines that
  `# prints: LINE` comments announce must be lines of the output, in this order. Doctests are run as such.
- `textmdp` commands of shell blocks run in the order of a page, in one folder; training with tiny settings. Those in
  `PARSED` are given to the argument parser alone.
- Other commands are not run; a `make` target, a file or a module of `python -m` that they name must exist.
- A block below a line `*Not run by the tests: REASON*` is skipped.
"""

import doctest
import importlib.util
import inspect
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from paths import ROOT

import textmdp.envs
from textmdp.agents.cli.main import main

sys.path.insert(0, str(ROOT / "docs"))
from generator import check_site, environments, inserts

sys.path.remove(str(ROOT / "docs"))

#: Texts by name: pages written by hand with what is inserted in them, and the tasks' own pages.
PAGES = {
    **{
        str(path.relative_to(ROOT)): inserts.expand(path.read_text())
        for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
    },
    **{
        name: inspect.cleandoc(environments.task_class(path).__doc__ or "") for name, path in textmdp.envs.TASKS.items()
    },
}
BLOCK = re.compile(
    r"(?P<before>[^\n]*)\n+^(?P<fence>`{3,})(?P<language>\S*)[^\n]*\n(?P<code>.*?)^(?P=fence)$", re.M | re.S
)
#: Folders that the generator writes.
GENERATED = re.compile(r"docs/(environments|algorithms|api|notebooks|_build)/")
SKIPPED = "*Not run by the tests: "
#: Commands that wait for a person, or train for minutes whatever the settings.
PARSED = ("play", "demo")
TINY = [
    "--layers",
    "1",
    "--width",
    "16",
    "--heads",
    "2",
    "--updates",
    "2",
    "--episodes",
    "16",
    "--group-size",
    "4",
    "--evaluate-episodes",
    "8",
    "--final-episodes",
    "8",
    "--imitation-steps",
    "2",
    "--imitation-episodes",
    "8",
    "--imitation-check-every",
    "2",
]
#: Runs the blocks that it reads, each as if it stood in a file of its own, in one namespace.
DRIVER = """
import json, linecache, sys, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch.*")
warnings.filterwarnings("ignore", category=DeprecationWarning, module="tensorboard.*")
for number, code in enumerate(json.load(sys.stdin)):
    name = f"<block {number}>"
    linecache.cache[name] = len(code), None, code.splitlines(True), name
    exec(compile(code, name, "exec"), sys.modules["__main__"].__dict__)
"""


def blocks(page, *languages):
    """The blocks of a page in some languages that are to be run."""
    found = BLOCK.finditer("\n" + PAGES[page])
    return [b["code"] for b in found if b["language"] in languages and not b["before"].startswith(SKIPPED)]


def commands(page):
    """The commands of a page's shell blocks, as words, without comments and prompts."""
    lines = "".join(blocks(page, "sh", "console")).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    return [words for words in found if words]


def with_blocks(*languages):
    return [page for page in PAGES if blocks(page, *languages)]


def test_there_is_code():
    assert {"README.md", "docs/index.md", "docs/tasks.md"} <= set(with_blocks("python"))
    assert {"README.md", "docs/start.md"} <= set(with_blocks("sh"))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_names_its_language(page):
    languages = [block["language"] for block in BLOCK.finditer("\n" + PAGES[page])]
    known = re.compile(r"python|pycon|sh|console|text|json|bibtex|\{[\w-]+\}")
    assert [language for language in languages if not known.fullmatch(language)] == []


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_blocks_run(page, tmp_path):
    code = blocks(page, "python")
    command = [sys.executable, "-W", "error", "-c", DRIVER]
    result = subprocess.run(command, input=json.dumps(code), capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    printed = iter([line.rstrip() for line in result.stdout.splitlines()])
    expected = [line.rstrip() for line in re.findall(r"# prints: (.*)", "".join(code))]
    assert [line for line in expected if line not in printed] == [], result.stdout  # `in` moves the iterator on


@pytest.mark.parametrize("page", with_blocks("pycon"))
def test_doctests_pass(page):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    runner.run(parser.get_doctest("\n".join(blocks(page, "pycon")), {}, page, page, 0))
    assert runner.failures == 0 < runner.tries


@pytest.mark.parametrize("page", with_blocks("sh", "console"))
def test_commands_of_textmdp_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words in [words[1:] for words in commands(page) if words[0] == "textmdp"]:
        if words[0] in PARSED:
            with pytest.raises(SystemExit) as ended:  # --help leaves once all that stands before it was accepted
                main([*words, "--help"])
            assert ended.value.code == 0, words
        else:
            code = main([*words, *TINY] if words[0] == "train" else words)
            assert code == 0, f"{shlex.join(words)}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("page", with_blocks("sh", "console"))
def test_other_commands_name_what_exists(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(page):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= set(targets), words
        if words[0] == "python":
            module = importlib.util.find_spec(words[2]) if words[1] == "-m" else (ROOT / words[1]).exists()
            assert module, words
        assert words[0] in ("make", "python", "textmdp", "pip", "git", "cd"), words


@pytest.mark.parametrize("page", [page for page in PAGES if page.endswith(".md")])
def test_every_path_that_is_linked_exists(page):
    folder = (ROOT / page).parent
    for path in re.findall(r"\]\(((?!\w+:)[^)#\s]+)", PAGES[page]):
        target = os.path.normpath(folder / path)
        assert os.path.exists(target) or GENERATED.match(os.path.relpath(target, ROOT)), path


def test_every_path_that_is_named_exists():
    """In text about the repository; what the generator writes is there after a build alone."""
    for page in ("README.md", "CONTRIBUTING.md", "AGENTS.md"):
        for path in re.findall(r"`((?:envs|agents|benchmarks|tests|docs|notebooks)/[\w/.-]*)`", PAGES[page]):
            assert GENERATED.match(path) or (ROOT / path).exists(), f"{page}: {path}"


def test_figures_of_the_readme_are_those_of_the_results():
    found = json.loads((ROOT / "benchmarks/results/algorithms_TextMath-v0.json").read_text())
    rows = re.findall(r"^\| `([\w-]+)`.*? \| ([\d.]+) \| ([\d.]+) \|$", PAGES["README.md"], re.MULTILINE)
    assert rows
    for name, accuracy, seconds in rows:
        figures = found["algorithms"][name]
        assert (accuracy, seconds) == (f"{figures['final_accuracy'][0]:.3f}", f"{figures['seconds_to_bar'][0]:.1f}")
    assert found["date"] in PAGES["README.md"]
    assert found["command"] in PAGES["README.md"]


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= 8_000


def test_the_version_is_everywhere_the_same():
    version = re.search(r"^version = (\S+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)[1]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_broken_links_and_missing_twins_of_a_site_are_found(tmp_path):
    """`make docs` checks the real site so."""
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a><a href="https://x.org/">x</a></p>')
    (tmp_path / "b.html").write_text('<a href="a.html#here">a</a><a href="c.html">c</a><img src="d.png">')
    (tmp_path / "a.md").write_text("# A")
    (tmp_path / "llms.txt").write_text("- [A](a.md)")
    assert check_site.broken_links(tmp_path) == ["a.html: b.html#there", "b.html: c.html", "b.html: d.png"]
    assert check_site.missing_twins(tmp_path) == ["b.md: no twin in llms.txt"]
