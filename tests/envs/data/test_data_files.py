"""Rows of data files in every format, of folders as the hub and `datasets` write them, and of a hub out of reach."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import warnings

import pytest

from textmdp.envs.data.dataset_rows import DataError, load_rows
from textmdp.envs.tokenizers import hub

ROWS = [{"question": "One, two?\nThree?", "answer": 3}, {"question": "Été 😀", "answer": 4}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def rows(dataset, split=None):
    return load_rows(dataset, split, lambda place, row: dict(row), lambda row: False)


def csv_text(delimiter):
    return f'question{delimiter}answer\n"One, two?\nThree?"{delimiter}3\nÉté 😀{delimiter}4\n'.encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.ndjson", LINES),
        ("a", LINES),
        ("a.txt", LINES),
        ("a.json", json.dumps(ROWS).encode()),
        ("a", json.dumps(ROWS).encode()),
        ("a.json", LINES),
        ("a.gz", gzip.compress(LINES)),
        ("a.gz", gzip.compress(json.dumps(ROWS).encode())),
        ("a", gzip.compress(LINES)),
        ("a.jsonl", gzip.compress(LINES)),
    ],
)
def test_json_in_any_dress(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert rows(tmp_path / name) == ROWS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", csv_text(",")),
        ("A.CSV", csv_text(",")),
        ("a.tsv", csv_text("\t")),
        ("a.csv.gz", gzip.compress(csv_text(","))),
        ("a.csv", b"\xef\xbb\xbf" + csv_text(",").replace(b"\n", b"\r\n").replace(b"two?\r\n", b"two?\n")),
    ],
)
def test_tables_of_text(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert rows(tmp_path / name) == [{**row, "answer": str(row["answer"])} for row in ROWS]


def test_an_empty_cell_is_null(tmp_path):
    (tmp_path / "a.csv").write_text("question,answer,solution\nq,5,\n")
    assert rows(tmp_path / "a.csv") == [{"question": "q", "answer": "5", "solution": None}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "question,answer\nq,1\nq,1,2\n", "line 3: the row has not the 2 cells .* in quotes; it has 3"),
        ("a.csv", "question,answer\nq\n", "line 2: .* some are missing"),
        ("a.csv", 'question,answer\n"q,1\n', "no CSV"),
        ("a.csv", "question,answer\n", "holds no row"),
        ("a.parquet", "nothing", "not whole, or no .parquet file"),
        ("a.arrow", "nothing", "not whole, or no .arrow file"),
        ("a.jsonl", '{"question": ["fine", {"deep": "\\ud83d"}]}\n', "line 1, field 'question': .* at position 0"),
    ],
)
def test_damage_is_named(tmp_path, name, content, message):
    if name.endswith(("parquet", "arrow")):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        rows(tmp_path / name)


@pytest.mark.parametrize("name", ["a.xlsx", "a.zip", "a.jsonl.zst", "a.pkl"])
def test_other_formats_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=rf"{name}: \.\w+ files are not read; rows come from .*\.jsonl.*\.parquet"):
        rows(tmp_path / name)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_tables_of_pyarrow(tmp_path, suffix):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import feather, parquet

    table = pyarrow.Table.from_pylist(ROWS)
    path = tmp_path / f"a.{suffix}"
    if suffix == "arrow":  # a stream, as `datasets` writes it
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        {"parquet": parquet.write_table, "feather": feather.write_feather}[suffix](table, path)
    assert rows(path) == ROWS


def test_tables_without_pyarrow_name_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"\.parquet files need pyarrow.*textmdp\[datasets\]"):
        rows(tmp_path / "a.parquet")


def test_a_folder_of_the_hub(tmp_path):
    for place in ("main", "socratic"):
        (tmp_path / place).mkdir()
        for part, row in enumerate(ROWS):
            (tmp_path / place / f"test-0000{part}-of-00002.jsonl").write_text(json.dumps(row) + "\n")
        (tmp_path / place / "train-00000-of-00001.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "train-0.jsonl").write_text("broken")
    assert rows(tmp_path / "main", "test") == ROWS
    assert rows(tmp_path / "main") == ROWS[:1]
    assert rows(tmp_path / "main", "all") == [ROWS[0], *ROWS]
    with pytest.raises(ValueError, match=r"several data sets: give one of '.*main', '.*socratic'"):
        rows(tmp_path, "test")
    with pytest.raises(FileNotFoundError, match="no parts test-"):
        rows(tmp_path / ".cache", "test")


def test_a_folder_of_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict(train=table.select([0]), test=table).save_to_disk(str(tmp_path / "saved"))
    assert rows(tmp_path / "saved", "test") == ROWS
    assert rows(tmp_path / "saved", "train") == ROWS[:1]


def test_repeated_ids_are_a_warning(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"task_id": i, "question": "q"}) + "\n" for i in (1, 2, 1, 2)))
    with pytest.warns(UserWarning, match="task_id 1 of .*line 3 is also that of line 1, and 1 more"):
        assert len(rows(path)) == 4
    path.write_text("".join(json.dumps({"task_id": i}) + "\n" for i in (1, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows(path)


def test_a_hub_out_of_reach_is_not_waited_for(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: _raise(OSError("no network")))
    asked = []

    def load(name, configuration, split):
        asked.append(datasets.config.HF_HUB_OFFLINE)
        raise ConnectionError("offline")

    before = datasets.config.HF_HUB_OFFLINE
    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(ValueError, match="the hub gave no split 'train'"):
        rows("openai/gsm8k:main")
    assert asked == [True]
    assert before == datasets.config.HF_HUB_OFFLINE


def test_a_proxy_is_trusted_to_reach_the_hub(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: _raise(OSError("no network")))
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy:1"})
    assert hub.is_reachable()
    monkeypatch.setattr(hub, "getproxies", dict)
    assert not hub.is_reachable()


def _raise(error):
    raise error
