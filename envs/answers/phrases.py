"""Phrases around answers, as patterns: labels, reasons, denials, guesses. Extraction reads prose with these alone."""

import re


def any_of(phrases: str) -> str:
    """Return a pattern for any of the comma-separated phrases, as whole words; a final ``*`` allows other endings."""
    words = [re.escape(phrase.strip()).replace(r"\ ", r"\s+") for phrase in phrases.split(",")]
    return rf"(?<![a-z])(?:{'|'.join(words)})(?![a-z])".replace(r"\*", r"\w{0,12}")


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE | re.MULTILINE)


QUOTES = " \t\r\n*\"'“”_`>:："
"""Characters around an answer that are no part of it."""
_NOT = r"n['’]t(?![a-z])"
_KIND = r"(?:(?:final|correct|right|best|desired|required|only)\s+){0,2}(?:answer|option|choice)(?![a-z])"
_BE = r"\s(?:is|are|equals|(?:might|may|could|would|should|must|will)\s+be)(?![a-z])"
_NOT_BE = rf"\s(?:can\s?not|can['’]t|could{_NOT})\s+be(?![a-z])|\sis{_NOT}"

LABEL = _pattern(
    rf"(?:\b(?:the\s+)?{_KIND}(?:\s+to\s+[^.\n:$]{{1,80}}?)?\s*(?:{_BE}|{_NOT_BE})",
    r"(?:\s+(?:therefore|thus|then|simply|now|option|choice)(?![a-z]))?(?:\*\*)?\s?:?",
    r"|\b(?:final\s+answer|answer|réponse|respuesta|antwort|risposta|resposta|ответ|정답|답)(?:\*\*)?\s?[:：]",
    r"|^[ \t>*#]{0,8}(?:final\s+)?answer(?=[ \t*]{0,3}(?:\$|\\\(|\\\[))",
    r"|^[ \t>*]{0,4}A\s?:",
    r"|\b(?:réponse\s+est|respuesta\s+es|antwort\s+(?:ist|lautet)|risposta\s+è)\s?:?",
    r"|\b(?:i|we)(?:['’](?:d|ll)|\s+would|\s+will)?\s+(?:choose|pick|select|go\s+with)",
    r"(?=\s+(?:option\s|choice\s)?\(?[A-J]\)?(?![a-z]))",
    r"|答案(?:是|为|為|[:：])|答[:：])",
)
"""A label in front of its answer; it may deny it (see `DENYING_LABEL`)."""
DENYING_LABEL = _pattern(rf"{_NOT}|can\s?not")
LABEL_BEHIND = _pattern(
    rf"[\s*]{{1,4}}(?:is|are|must\s+be|would\s+be)\s+(?:(?:the|our|my)\s+{_KIND}|correct(?![a-z]))",
)
"""A label behind its answer: *5 is the answer*."""
MENTION = _pattern(
    any_of("check*, verif*, confirm*, if, suppose, assum*, whether, unless, plug*, substitut*, compar*, test*"),
    rf"|{any_of('of, to, with, from, into, in, by')}(?:\s+(?:our|the|this|my|your|an))?\s*$",
)
"""Words before a label that only mentions an answer: *a check of our answer: 27*, *if the answer is 5*."""
FILLER = _pattern(
    any_of(
        "approximately, about, exactly, simply, just, only, equal to, indeed, clearly, obviously, thus, therefore, "
        "then, probably, likely, definitely, certainly"
    ),
    r"[\s:]+",
)
LEAD = _pattern(any_of("so, thus, hence, therefore, then, finally, and"), r"[,:]?\s+")
DENIAL = _pattern(any_of("not, never, anything but, other than, neither, no longer"), f"|{_NOT}")
UNKNOWN = _pattern(
    any_of(
        "unclear, unknown, undetermined, undefined, impossible, wrong, incorrect, missing, none of, cannot, can't, "
        "not known, i do not, i don't, i am not, i'm not"
    )
)
REASON = _pattern(
    r"(?:\s*[,;:—–(]\s*|\s*\*\*\s*|\s+)(?:",
    any_of(
        "because, since, rather than, instead of, and not, but not, not, given, due to, assuming, so that, where, "
        "thanks to, if, when, with, hence, so"
    ),
    r"|as\s+(?=(?:he|she|it|they|we|there|the|you)(?![a-z])|\d)",
    rf"|(?<=[;,])\s?{any_of('it, this, that, he, she, they, we, which, there, check, checking')})",
)
"""Begin of a clause that says why, or what the answer is not."""
CERTAIN_REASON = _pattern(r"[\s,;(]*", any_of("because, since"))
REMARK = re.compile(r"\s+[(\[](?!\s?(?:or|i\.e|=|mod|base|in base|\\)|[A-J]\))[^()\[\]]*[a-zA-Z]{3}[^()\[\]]*[)\]]")
"""A remark in brackets behind an answer: *24 (see step 3)*."""
EXPLANATION = _pattern(
    r"^[ \t*#_]{0,8}",
    any_of("explanation, explanations, reasoning, reason, reasons, justification, proof, because, check, verification"),
    r"\s?(?:\*\*)?[:：]",
)
"""A line that begins an explanation of the answer above it."""
OPERATOR = _pattern(
    r"[)}\]$*]{0,3}\s*(?:[-+*/^=<>!≤≥≠×÷·\\(\[]|",
    any_of(
        "times, plus, minus, divided, over, squared, cubed, factorial, choose, more, less, fewer, to the, out of, "
        "of the, modulo, percent of, or, and, to"
    ),
    r")",
)
"""Begin of text that makes the number before it a part of something else: *3 times 8*."""
RESULT = _pattern(
    "=|→|",
    any_of("is, are, make, makes, give, gives, equal, equals, leaves, yield, yields, becomes, totals, for a total of"),
)
_GUESSING = "could, might, may, maybe, perhaps, possibly, either"
HEDGE = _pattern(any_of(f"{_GUESSING}, alternatively, or, guess"))
OR = _pattern(any_of("or, ou, oder"))
JOIN = _pattern(
    rf"(?:[\s,;&]|{any_of('and, or, maybe, perhaps, possibly, also, either, else, et, ou, und, oder')})*",
    rf"|,?\s*or\s+(?:{any_of(f'it is, it, is, that, be, rather, even, else, also, just, {_GUESSING}')}\s+){{0,6}}",
)
"""Text between two items of a list."""
ALTERNATIVE = _pattern(
    r"\s?\\text\s?\{\s?or\s?\}\s?|\s?[,;(]?\s?",
    any_of("or equivalently, or, equivalently, that is, which is, also written as").replace("a-z", "a-zA-Z"),
    r",?\s?|\s?[,;(]?\s?(?<![a-z])i\.e\.,?\s?",
)
"""Text between two ways of writing one answer."""
DENIED = _pattern(
    "(?:",
    any_of(
        "not, no longer, never, neither, nor, cannot, anything but, other than, rather than, instead of, except, "
        "except for, far from, more than, less than, fewer than, greater than, bigger than, smaller than, larger than, "
        "wrong, wrong answer, wrong answer is"
    ),
    rf"|{_NOT})(?:\s+(?:=|",
    any_of(
        "be, equal to, equal, exactly, really, actually, simply, just, the, a, an, to, it, think, believe, even, "
        "answer, is"
    ),
    r")){0,4}\s*[$(*\"'`]{0,3}\Z",
)
"""Text in front of a number that is not the answer: *isn't 5*, *rather than 5*, *more than 5*."""
DENIED_BEHIND = _pattern(
    r"[$)*\"'`]{0,3}\s+(?:(?:is|was|are|can|could|would|must)(?:\s?n['’]t|['’]t|\s(?:not|never|wrong|incorrect|false|impossible))",
    r"|(?:more|less|fewer|greater)\s+than)(?![a-z])",
)
"""Text behind such a number: *5 is wrong*, *5 more than*."""
MINUS = _pattern(r"(?:(?<![a-z])negative|(?:\A|is|are|be|=|:|equals|of|to)\s+minus)\s+\$?\Z")
"""A sign in words."""
ADJUNCT = _pattern(
    r"[*_$]{0,3}(?:\s+[^\W\d_]{1,20}){0,3}\s+",
    any_of("in, for, per, at, from, within, during, on, over, after, every, each, out of, to question, in step, to"),
    rf"(?:\s+{any_of('the, a, an, all, those, these, each, only, just, question, part, step, problem, number')})?",
    r"\s*[$(]{0,2}",
)
"""Text between a number and one that only says more about it: *24 apples in 3 boxes*, *24 to question 3*."""
RETRACTED = _pattern(
    any_of("that, this, it, which").replace("(?![a-z])", ""),
    rf"(?:(?:\s?['’]s|\s+is|\s+was)\s+{any_of('wrong, incorrect, false, not right, not correct, a mistake')}",
    rf"|\s+(?:is|was){_NOT}\s+(?:right|correct)(?![a-z]))",
)
"""An answer taken back."""
CLOSING_REMARK = _pattern(r"(?:I|We) hope (?:it|this|that)[^.\n]{0,40}(?:\.|$)")
