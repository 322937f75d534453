"""The part of a response that counts: behind the reasoning, within the final channel, up to the end of the turn."""

import re

_TAGS = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis|seed:think"
_OPEN = re.compile(
    rf"<(?:{_TAGS})>|<\|(?:begin_of_)?(?:thought|thinking|think)\|>|\[THINK\]|◁think▷|<\|START_THINKING\|>",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"</(?:{_TAGS})>|<\|end_of_(?:thought|thinking|think)\|>|<\|/(?:thought|thinking|think)\|>|\[/THINK\]|◁/think▷"
    r"|<\|END_THINKING\|>",
    re.IGNORECASE,
)
# Harmony: <|start|>assistant<|channel|>analysis<|message|>...<|end|> and so on; only the final channel is the response.
_CHANNEL = re.compile(r"<\|channel\|>\s?([a-zA-Z]{1,20})[^<\n]{0,80}(?:<\|[a-z]{1,20}\|>[^<\n]{0,40})?<\|message\|>")
_TURN = re.compile(
    r"<\|[a-zA-Z_/]{1,30}\|>|<｜[^｜<>\n]{1,40}｜>|</s>|<s>|<eos>|<bos>|<(?:start|end)_of_turn>|\[/?INST\]"
)
_ROLE = re.compile(r"(?:assistant|model)(?:\n|(?=<\|))")


def final_part(response: str) -> tuple[str, int]:
    """Return the part of the response that counts and its start; ``("", 0)`` where the reasoning never ends.

    >>> final_part("<think>3 or 4?</think>4<|im_end|>")
    ('4', 22)
    """
    start, stop = 0, len(response)
    if "<|channel|>" in response:
        channels = list(_CHANNEL.finditer(response))
        if channels:
            if channels[-1][1] != "final":
                return "", 0
            start = channels[-1].end()
    start = max((close.end() for close in _CLOSE.finditer(response, start)), default=start)
    if _OPEN.search(response, start):
        return "", 0  # opened again, or never closed
    for token in _TURN.finditer(response, start):
        if response[start : token.start()].strip():
            stop = token.start()
            break
        # The turn's own header stands in front of the text, not behind it.
        start = token.end()
        if role := _ROLE.match(response, start):
            start = role.end()
    return response[start:stop], start
