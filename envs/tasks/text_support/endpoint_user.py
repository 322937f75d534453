"""A customer whose words a language model finds, behind an OpenAI-compatible endpoint.

The rules decide which facts an answer holds and how patient the customer is; the model gets the scenario as its brief
and says the same in words of its own. So a leak can be told: an answer with a number, a name, a city or an item that
the rules' answer lacks, or without one that it has, is asked for once more, and then the rules' own words stand.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from hashlib import blake2b

from textmdp.envs.tasks.text_support.scenarios import Scenario
from textmdp.envs.tasks.text_support.shop import CITIES, ITEMS, NAMES
from textmdp.envs.tasks.text_support.user import Answer, Request, RuleUser

#: The most bytes of a wording at the entry level and at others: `lexicon.longest_message` is a little more at each.
MOST_BYTES_ENTRY, MOST_BYTES = 70, 140
_FACT = re.compile(r"\d+|" + "|".join(rf"\b{re.escape(word)}\b" for word in (*NAMES, *CITIES, *ITEMS)), re.IGNORECASE)
_MARKERS = ("agent:", "customer:", "system:")


class EndpointUser:
    """A customer in a language model's words; replies are kept, so that the same dialogue gets the same ones.

    Args:
        url: of the endpoint, up to `/v1`: `"http://localhost:8000/v1"`.
        model: the model's name there.
        key: the token of the header `Authorization`; "" for none.
        timeout: of one request, in seconds.
        max_tokens: of one reply.

    Raises:
        ConnectionError: the endpoint can't be reached, or doesn't answer as the protocol has it (when it is asked).
    """

    def __init__(self, url: str, model: str, key: str = "", timeout: float = 30.0, max_tokens: int = 60) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url={url!r} is no http address: give it up to /v1, such as http://localhost:8000/v1")
        self._url = url.rstrip("/") + "/chat/completions"
        self._model, self._key, self._timeout, self._max_tokens = model, key, timeout, max_tokens
        self._rules = RuleUser()
        self._replies: dict[str, str] = {}

    def open(self, scenario: Scenario) -> Answer:
        """The first message."""
        return self._reword(scenario, "", self._rules.open(scenario), 0)

    def answer(self, request: Request) -> Answer:
        """The answer to one turn."""
        seed = int(request.rng.integers(1 << 30))
        return self._reword(request.scenario, request.turn.text, self._rules.answer(request), seed)

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """`answer` for each request."""
        return [self.answer(request) for request in requests]

    def _reword(self, scenario: Scenario, heard: str, answer: Answer, seed: int) -> Answer:
        brief = (
            f"You play a customer of a shop, in a {scenario.style} manner, who wants help with: "
            f"{', '.join(issue.kind for issue in scenario.issues)}. Say the given message in your own words, in one "
            "short sentence. Keep every number, name and thing; add no fact."
        )
        said = f'The support bot said: "{heard}". ' if heard else ""
        messages = [
            {"role": "system", "content": brief},
            {"role": "user", "content": f'{said}Your message: "{answer.text}"'},
        ]
        for attempt in range(2):
            text = self._complete(messages, seed + attempt)
            if _same_facts(text, answer.text, MOST_BYTES if scenario.strict else MOST_BYTES_ENTRY):
                return answer._replace(text=text)
        return answer

    def _complete(self, messages: list[dict[str, str]], seed: int) -> str:
        """The model's reply up to its first line's end or the next speaker, from memory if it was asked before."""
        request = {"model": self._model, "messages": messages, "seed": seed, "max_tokens": self._max_tokens}
        body = json.dumps({**request, "stop": ["\n", *_MARKERS]}).encode()
        name = blake2b(body, digest_size=16).hexdigest()
        if name not in self._replies:
            self._replies[name] = _text_of(self._post(body), self._url)
        return self._replies[name]

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            made = urllib.request.Request(self._url, body, headers)
            with urllib.request.urlopen(made, timeout=self._timeout) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raise ConnectionError(f"{self._url} answered {error.code} {error.reason}: check model and key") from error
        except OSError as error:
            raise ConnectionError(f"{self._url} can't be reached ({error}): is the server running?") from error


def _text_of(body: bytes, url: str) -> str:
    try:
        text = json.loads(body)["choices"][0]["message"]["content"]
        if not isinstance(text, str):
            raise TypeError(f"the content is a {type(text).__name__}")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ConnectionError(f"{url} gave no chat completion ({error!r}): {body[:80]!r}") from error
    # Some servers ignore `stop`.
    line = text.strip().strip('"').partition("\n")[0]
    return re.split("|".join(_MARKERS), line, flags=re.IGNORECASE)[0].strip()


def _same_facts(text: str, rules: str, most: int) -> bool:
    """True if a wording is short enough and has the facts of the rules' answer, and no others."""
    found, expected = ({word.lower() for word in _FACT.findall(t)} for t in (text, rules))
    return bool(text) and found == expected and len(text.encode()) <= max(most, len(rules.encode()))
