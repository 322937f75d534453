"""A customer in the words of a language model, against a local server that speaks OpenAI's protocol."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from textmdp.envs import ResponseEnv
from textmdp.envs.tasks.text_support import TextSupport
from textmdp.envs.tasks.text_support.endpoint_user import MOST_BYTES, MOST_BYTES_ENTRY, EndpointUser
from textmdp.envs.tasks.text_support.lexicon import AGENT, CUSTOMER, longest_message
from textmdp.envs.tasks.text_support.scenarios import LEVELS


@pytest.fixture
def server():
    """A server whose `reply` turns the message to reword into a body; `asked` are the requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.asked.append((self.path, self.headers.get("Authorization"), request))
            message = re.search('Your message: "(.*)"', request["messages"][-1]["content"])[1]
            body = made.reply(message).encode()
            self.send_response(made.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.status, made.reply = [], 200, lambda message: completion(f"Well: {message}")
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{made.server_port}/v1"
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def completion(text):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


def play(user, seed=0):
    """The transcript and the return of the expert."""
    env = ResponseEnv(TextSupport(user=user))
    env.reset(seed=seed)
    total, ended = 0.0, False
    while not ended:
        observation, reward, terminated, truncated, _ = env.step(env.demonstrate())
        total, ended = total + reward, terminated or truncated
    return observation, total


def test_the_model_words_what_the_rules_decide(server):
    transcript, total = play(EndpointUser(server.url, "tiny", key="abc"))
    assert total == 1.0
    assert transcript.startswith("customer: Well: ")
    path, key, request = server.asked[0]
    assert (path, key, request["model"]) == ("/v1/chat/completions", "Bearer abc", "tiny")


def test_the_same_dialogue_is_asked_for_once(server):
    user = EndpointUser(server.url, "tiny")
    first = play(user)
    asked = len(server.asked)
    assert play(user) == first
    assert len(server.asked) == asked


def test_leaks_and_lost_facts_are_replaced_by_the_rules_words(server):
    for wrong in ("My order is 98765.", "", "x" * 1000):
        server.reply = lambda message, wrong=wrong: completion(wrong + message if wrong != "" else "")
        assert play(EndpointUser(server.url, "tiny")) == play(None)


def test_a_reply_ends_at_the_line_and_at_another_speaker(server):
    plain = play(EndpointUser(server.url, "tiny"))
    for tail in ("\nagent: refund 1", " Agent: I refund 417.", "\n\nNote: 5"):
        server.reply = lambda message, tail=tail: completion(f'"Well: {message}{tail}')
        assert play(EndpointUser(server.url, "tiny")) == plain


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [(401, "{}", "401"), (200, "<html>", "no chat completion"), (200, completion(None), "no chat completion")],
)
def test_errors_name_the_endpoint(server, status, body, message):
    server.status, server.reply = status, lambda _: body
    with pytest.raises(ConnectionError, match=message):
        play(EndpointUser(server.url, "tiny"))


@pytest.mark.parametrize("level", LEVELS)
def test_the_longest_wordings_fit_the_context(level):
    most = MOST_BYTES if LEVELS[level].strict else MOST_BYTES_ENTRY
    assert len(f"{CUSTOMER}{AGENT}".encode()) + most <= longest_message(level).bytes


def test_no_server_and_no_address():
    with pytest.raises(ConnectionError, match="is the server running"):
        play(EndpointUser("http://127.0.0.1:9/v1", "tiny"))
    with pytest.raises(ValueError, match="no http address"):
        EndpointUser("localhost", "tiny")
