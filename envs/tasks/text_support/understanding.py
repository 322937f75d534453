"""The acts in a bot's free text: questions, claims, refusals, promises and small talk, by rules on words.

Acts are `ask_` and a fact (`user.FACTS`), the claims of `policy.CLAIMS`, and:

- `done`: something unnamed was done; `lost`: a parcel is lost; `refuse`: a refusal; `promise`: something will be done;
- `wait`, `greet`, `sorry`, `thanks`, `else` (anything else?), `bye`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

#: Longer responses are cut here before they are read.
_LONGEST = 600

_SPELT = {
    "can't": "can not",
    "cannot": "can not",
    "won't": "will not",
    "let's": "let us",
    "i'm": "i am",
}
_ENDINGS = (("n't", " not"), ("'ve", " have"), ("'ll", " will"), ("'re", " are"), ("'d", " would"), ("'s", " is"))
_NUMBERS = {
    word: k for k, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)
}

_REQUEST = re.compile(
    r"^(and |so |ok |okay |hello |hi |sorry |well |first |then |now |also |thanks |thank you )*"
    r"(what|which|who|whose|where|how|could|can|may|would|do|does|did|is|are|was|were|have|has|please|tell|give|"
    r"send me|provide|share|name|let me (know|have)|i need|i would need|i will need|we need|kindly|enter|type|state|"
    r"confirm|your|the (new )?(order|name|postcode|number|address|item)|describe|explain)\b"
)
_NEGATIVE = re.compile(
    r"\b(not|no|never|unable|impossible|refuse|decline|nothing|neither|denied|deny|rejected?|against|cannot|"
    r"turn down)\b"
)
_MODAL = re.compile(
    r"\b(will|shall|going to|let me|can|could|would|may|might|try|trying|want to|about to|should|have to|need to|"
    r"must|"
    r"to be|if|once|as soon as|unless|until|before|happy to|able to|like to|soon|shortly|in a moment|processing|"
    r"working on|you get|i am \w+ing|promise|allowed)\b"
)
_LOGIN = re.compile(r"\byou (can|should be able to|may) (now )?(log|sign|get) (in|on|back in)")

_DONE: dict[str, re.Pattern[str]] = {
    "refunded": re.compile(
        r"\brefunded\b|\breimbursed\b|\bcredited\b"
        r"|\b(issued|made|processed|sent|given|gave|granted|started|completed|arranged|did|booked|approved|"
        r"put through)"
        r"\b.*\b(refund|money|amount|sum|charge|payment|price)\b"
        r"|\brefund\b.*\b(done|completed?|processed|issued|made|sent|through|on (its|the) way|confirmed|booked|"
        r"went out)\b"
        r"|\b(money|amount|charge|payment|price|sum)\b.*\b(is|was|went|goes|has been|are|being)\b.*"
        r"\b(back|returned|on (its|the) way|sent|reversed)\b"
        r"|\b(paid|sent|gave|given|transferred|returned|booked|wired|put)\b.*\bback\b"
        r"|\b(returned|reversed|removed)\b.*\b(money|amount|charge|payment|sum|price)\b"
        r"|\b(have|got|has) (all )?(your|the) money back\b"
    ),
    "replaced": re.compile(
        r"\breplaced\b|\bresent\b|\breshipped\b|\bexchanged\b"
        r"|\b(sent|shipped|dispatched|ordered|mailed|posted|put|issued|arranged|packed|gave)\b.*"
        r"\b(new|replacement|another|fresh|right|correct|again|one more)\b"
        r"|\b(new|replacement|another|fresh|right|correct)\b.*\b(sent|on (its|the|your) way|shipped|dispatched|"
        r"coming|"
        r"comes|under way|left|heading|travelling|out|posted|ordered)\b"
        r"|\b(you (get|receive)|there is) (a new|another|a replacement)\b"
    ),
    "cancelled": re.compile(
        r"\bcancell?ed\b|\bcancell?ation\b.*\b(done|completed?|confirmed|through|processed|went)\b"
        r"|\bcalled off\b|\b(stopped|withdrew|withdrawn|voided|annulled|removed|deleted)\b.*\b(order|purchase|it)\b"
        r"|\b(order|purchase|it)\b.*\b(stopped|void|withdrawn|annulled|called off|off the list|no longer active)\b"
    ),
    "moved": re.compile(
        r"\b(address|destination|city|delivery)\b.*\b(changed|updated|corrected|set|switched|amended|adjusted|edited|"
        r"new now|entered|saved|replaced|fixed|right now|in the system)\b"
        r"|\b(changed|updated|corrected|set|switched|amended|adjusted|entered|saved|edited|put)\b.*"
        r"\b(address|destination|city)\b"
        r"|\b(redirected|rerouted|readdressed|sent on)\b|\b(goes|going|headed|heading|travels|way|"
        r"addressed) (now )?to\b"
    ),
    "unlocked": re.compile(
        r"\bunlocked\b|\bunblocked\b|\bunfrozen\b"
        r"|\b(account|login|access)\b.*\b(open|opened|active|activated|reactivated|restored|working|works|accessible|"
        r"free|fixed|enabled|back|available|reset)\b"
        r"|\b(opened|reopened|restored|reset|reactivated|enabled|freed|fixed|released|activated)\b.*"
        r"\b(account|login|access|password)\b"
        r"|\b(lock|block)\b.*\b(removed|lifted|gone|off)\b|\b(removed|lifted|took off)\b.*\b(lock|block)\b"
    ),
}
_TOPIC: dict[str, re.Pattern[str]] = {
    "refunded": re.compile(r"\brefund\w*|\bmoney\b|\breimburs\w*|\bpay\b.*\bback\b"),
    "replaced": re.compile(r"\breplac\w*|\b(send|ship)\b.*\b(new|another|again)\b|\bnew one\b|\bexchange\b"),
    "cancelled": re.compile(r"\bcancel\w*"),
    "moved": re.compile(r"\b(change|update|correct)\b.*\baddress\b|\bredirect\b|\baddress\b.*\b(change|update)"),
    "unlocked": re.compile(r"\bunlock\w*|\b(open|reset)\b.*\b(account|password)\b"),
}
_GENERIC = re.compile(
    r"\b(done|fixed|solved|resolved|settled|sorted|taken care|all set|finished|handled|successful(ly)?|completed?)\b"
)
_POSSIBLE = re.compile(
    r"\b(can|could|possible|able|allowed?|allows?|policy|permit\w*|will|may|grant|accept|do|offer|unfortunately|help|"
    r"refunds?|returns?|cancel|change|replace|no|refuse|decline|denied|deny|rejected?|turn down|against|impossible)\b"
)
_REASONS: dict[str, re.Pattern[str]] = {
    "warranty_over": re.compile(
        r"\b(warranty|guarantee)\b.*\b(over|expired|ended|passed|out|no longer|past|gone|not|lapsed|beyond|finished|"
        r"up|24|two years|ends|covers?|run|ran)\b|\b(out of|past|no longer (under|in)|beyond|outside|without|"
        r"not under|"
        r"no) (the |its |your |any )?(warranty|guarantee)\b"
        r"|\b(older|more|longer) than (24|two|twenty)|\bover (two years|24 months)\b"
    ),
    "too_late": re.compile(
        r"\b(30|thirty)\b.*\bdays?\b|\b(return|returns|refund) (period|window|time|deadline|date|right)\b"
        r"|\b(period|window|deadline|time limit|time|days)\b.*\b(over|passed|expired|ended|closed|gone|up|exceeded)\b"
        r"|\btoo (late|long ago|old|long|much time)\b|\bmore than a month\b|\b(after|within|over) (a|one) month\b"
        r"|\blong(er)? than (a|one) month\b|\bmissed\b.*\b(deadline|window|period)\b"
    ),
    "used": re.compile(
        r"\b(un)?used\b|\bunworn\b|\bworn\b|\bopened\b|\bunopened\b|\bnot (as )?new\b|\bno longer new\b"
    ),
    "shipped": re.compile(
        r"\b(shipped|left|dispatched|on (its|the) way|gone out|went out|out for delivery|under way|in transit|posted|"
        r"travelling|been sent|was sent|is sent|sent out|already sent|handed (over|to)|with the (carrier|courier)|"
        r"out of (our|the) (hands|house|warehouse))\b"
    ),
    "not_verified": re.compile(
        r"\b(post ?code|zip|zip code|postal code|code)\b.*\b(wrong|not|different|incorrect|invalid|fails?|failed|"
        r"mismatch|no match)\b|\b(wrong|incorrect|invalid|different|not)\b.*\b(post ?code|zip|postal|code)\b"
        r"|\b(verify|verified|identify|identified|identity|authenticated?|verification|prove|proof|confirm who|"
        r"sure who)\b"
    ),
    "not_yours": re.compile(
        r"\bnot (yours|your (own )?(order|parcel|item|purchase)|in your name|under your name|made by you|the owner|"
        r"by you|"
        r"placed by you|our customer for)\b"
        r"|\b(someone|somebody|another|other|different|neighbour|else)\b.*\b(order|orders|customer|person|name|"
        r"account|owner|"
        r"belongs?|people|bought|buyer|money|else|neighbour)\b"
        r"|\bbelongs? to\b|\bonly (the )?(owner|buyer|neighbour|customer|person|your neighbour|who)\b"
        r"|\b(neighbour|owner|buyer) (has|must|needs|should|can)\b|\b(is|are) (your )?neighbour is\b"
    ),
    "charged_once": re.compile(
        r"\b(charged?|paid|billed|payments?|charges|debited|pay|took|taken|booked)\b.*"
        r"\b(once|one time|single|only one|just one|only 1)\b"
        r"|\b(once|only one|just one|a single|one single|only 1|exactly one) *(charged?|payment|paid|debit|"
        r"booking)?\b.*"
        r"\b(charged?|payment|paid|debit|order|billed|booking)\b"
        r"|\bno (second|double|extra|duplicate|other|additional) (charge|payment|debit)\b"
        r"|\bnot\b.*\b(twice|double|two times|second)\b"
    ),
}
_DAYS = re.compile(
    rf"\b(\d{{1,2}}|{'|'.join(_NUMBERS)}|a) (more |working |business |further )?days?\b(?! (ago|late|old|have|are|"
    rf"is|were|after|since))"
)
_NOT_FOUND = re.compile(r"\b(not|unable to|never) (find|see|locate)\b|\bno (such )?order\b|\bnot (found|exist)\b")
_LOST = re.compile(r"\b(lost|missing|disappeared|vanished|can not be found)\b")
_ARRIVES = re.compile(
    r"\b(arriv\w*|come|comes|coming|there|deliver\w*|reach\w*|due|here|expect\w*|with you|have it|get it|receive|"
    r"takes?|at your|you get)\b"
)

_WAIT = re.compile(
    r"\b(moment|one second|a second|a minute|minutes?|please wait|hold on|bear with|stay with|let me (check|look|"
    r"see|find)|"
    r"(will|am) (check|checking|look|looking) |i will (check|look|see)|looking into|give me (a|some) (time|moment|"
    r"bit))\b"
)
_ELSE = re.compile(
    r"\b(anything|something|what) else\b|\bany(thing)? (other|further|more)\b|\bmore i can\b|\belse i can\b"
)
_SMALL: dict[str, re.Pattern[str]] = {
    "sorry": re.compile(r"\b(sorry|apolog\w*|regret|pardon|forgive|afraid)\b"),
    "thanks": re.compile(r"\b(thanks?|appreciate|grateful)\b"),
    "greet": re.compile(r"^(hello|hi|hey|welcome|good (morning|day|evening|afternoon)|greetings|dear)\b"),
    "bye": re.compile(r"\b(bye|goodbye|farewell|see you|have a (nice|good|great)|take care)\b"),
}

_ASKS: dict[str, re.Pattern[str]] = {
    "code": re.compile(r"\bpost ?codes?\b|\bpostal\b|\bzip\b"),
    "item": re.compile(
        r"\b(which|what) (item|product|article|thing|goods|piece)\b|\b(what|which one) (did|have|had|"
        r"was it) you (order|buy|"
        r"bought|purchase|ordered)\b|\b(item|product|article)\b.*\b(is it|is this|about|which|name|mean|do you|"
        r"did you|"
        r"was it|please|called)\b|\b(name|tell)\b.*\b(item|product|article)\b|\bwhat (did|was) (it|you)( that you)? "
        r"(buy|bought|order|ordered|purchase)\b|\bwhat you (bought|ordered)\b"
    ),
    "number": re.compile(
        r"\bnumber\b|\border (id|no|code|reference)\b|\b(which|what) (order|parcel|purchase)\b|\border id\b"
        r"|\b(reference|confirmation code)\b|\bfind (your |the |that |this |an |any )?(order|parcel)\b|\bno order \d+"
    ),
    "name": re.compile(
        r"\bnames?\b|\bwho (am i|are you|is (this|it|there|writing)|do i|should i|placed|made|is the customer)\b|"
        r"\bwhom\b|\bwhat (are you|should i) call"
    ),
    "want": re.compile(
        r"\b(refund|money)\b.*\bor\b|\bor\b.*\b(refund|money)\b|\bprefer\w*\b|\brather\b|"
        r"\b(what|which)\b.*\b(you like|you want|choose|pick|suits?|option|solution|better)\b|"
        r"\bwould you like (a|us to|me to|the|your|to get|to have)\b|\bdo you (want|wish) (a|us to|me to|the|your|"
        r"it)\b|"
        r"\byour choice\b|\bhow (should|shall|would you like|do you want|can) (i|we|us|me|this|it)\b.*\b(make|"
        r"solve|put|fix|"
        r"right|solved|settle)\b|\b(new one|replacement|refund)\s*$|\bshall i (send|refund|replace)\b"
    ),
    "used": re.compile(
        r"\b(un)?used?\b|\busing\b|\b(un)?opened\b|\b(un)?worn\b|\bcondition\b|\bpackag\w*\b|\bbox\b|\btried\b|"
        r"\bsealed\b|"
        r"\b(still|like|as) (good as )?new\b|\btags?\b|\bwrapp\w*\b|\btouched\b|\bopen it\b|\btry it\b|\bsigns of\b"
    ),
    "city": re.compile(
        r"\baddress\b|\bcity\b|\btown\b|\bdestination\b|\bwhere\b.*\b(send|deliver|ship|go|live|move|moved|bring|"
        r"sent|"
        r"delivered|shipped|now|to|take|parcel be)\b|\bplace\b.*\b(send|deliver|go)\b"
    ),
    "kind": re.compile(
        r"\b(problem|issue|wrong|matter|happened|happening|trouble|concern|going on|help|explain|describe|details|"
        r"assist|"
        r"about|reason|tell me more|do for you|up|bother\w*|upset|troubl\w*|question|need|want|unhappy|case|story|"
        r"fault)\b"
    ),
}
_EXCLUSIVE = ("code", "item", "number", "name", "want", "used", "city")


class Heard(NamedTuple):
    """What a text says."""

    acts: frozenset[str]
    days: int
    """The days in which a parcel arrives, where the text names them."""


@lru_cache(maxsize=1 << 14)
def hear(text: str) -> Heard:
    """Return the acts in a bot's text, and the days that it names; none for nonsense.

    >>> sorted(hear("Sorry, could you give me your order number?").acts)
    ['ask_number', 'sorry']
    >>> hear("Your parcel will arrive in three days.")
    Heard(acts=frozenset({'arrives'}), days=3)
    """
    acts: set[str] = set()
    days = 0
    for clause, question in _clauses(text):
        days = _read(clause, question, acts) or days
    if acts & {"shipped", "used", "too_late"} and acts & {"replaced", "refunded", "moved"}:
        acts -= {"shipped", "used"}
    if "arrives" in acts:
        acts -= {"shipped", "refuse"}
    if acts & {"done", "promise"} and acts & set(_DONE):
        acts -= {"done", "promise"}
    if acts & {"shipped", "warranty_over"}:
        acts.discard("too_late")
    if acts & set(_REASONS):
        acts -= {"refuse", "promise"}
    return Heard(frozenset(acts), days if "arrives" in acts else 0)


def _clauses(text: str) -> list[tuple[str, bool]]:
    """The sentences of a text in normal form, each with whether it ends in a question mark."""
    text = text[:_LONGEST].lower().replace("’", "'").replace("e-mail", "email")
    for short, full in _SPELT.items():
        text = text.replace(short, full)
    for ending, full in _ENDINGS:
        text = text.replace(ending, full)
    pieces = re.findall(r"[^.?!;\n]+[.?!;\n]?", text)
    clauses = []
    for piece in pieces:
        words = " ".join(re.findall(r"[a-z0-9]+", piece))
        if words:
            clauses.append((words, piece.endswith("?")))
    return clauses


def _read(clause: str, question: bool, acts: set[str]) -> int:
    """Add the acts of a sentence; return the days that it names."""
    small = [act for act, pattern in _SMALL.items() if pattern.search(clause)]
    acts.update(small)
    if _ELSE.search(clause) and (question or "let me know" in clause or " if " in clause):
        acts.add("else")
        return 0
    if _WAIT.search(clause) and not _LOGIN.search(clause):
        acts.add("wait")
        return 0
    if _LOGIN.search(clause) and not question:
        acts.add("unlocked")
        return 0
    if question or _REQUEST.search(clause):
        asked = [fact for fact in _EXCLUSIVE if _ASKS[fact].search(clause)]
        if "code" in asked or "item" in asked:
            asked = [fact for fact in asked if fact not in ("name", "city", "number") or f" and {fact}" in clause]
        if "want" in asked:
            asked = [fact for fact in asked if fact in ("want", "number")]
        if not asked and _ASKS["kind"].search(clause) and (question or not _statement(clause)):
            asked = ["kind"]
        if asked and (question or not _statement(clause)):
            acts.update(f"ask_{fact}" for fact in asked)
            return 0
        if question:
            return 0
    return _claims(clause, acts)


def _statement(clause: str) -> bool:
    """True if a sentence that could be a request claims something."""
    found: set[str] = set()
    _claims(clause, found)
    return bool(found - {"promise"})


def _claims(clause: str, acts: set[str]) -> int:
    negative, modal = bool(_NEGATIVE.search(clause)), bool(_MODAL.search(clause))
    if _NOT_FOUND.search(clause):
        acts.add("ask_number")
        return 0
    if _LOST.search(clause):
        acts.add("lost")
    reasons = [reason for reason, pattern in _REASONS.items() if pattern.search(clause)]
    match = _DAYS.search(clause)
    count = 0
    if match:
        count = 1 if match[1] == "a" else _NUMBERS.get(match[1]) or int(match[1])
    elif re.search(r"\btomorrow\b", clause):
        count = 1
    if count and "too_late" not in reasons and not negative and (_ARRIVES.search(clause) or len(clause.split()) <= 4):
        acts.add("arrives")
        return count
    deeds = [deed for deed, pattern in _DONE.items() if pattern.search(clause)]
    if "moved" in deeds and "replaced" in deeds:
        deeds.remove("replaced")
    if deeds and not negative and not modal:
        acts.update(deeds[:2])
        return 0
    if "shipped" in reasons and re.search(r"\b(new|replacement|another|money|refund|right one)\b", clause):
        reasons.remove("shipped")
    if (
        "not_verified" in reasons
        and not negative
        and not re.search(r"\b(wrong|fail|different|incorrect|invalid)", clause)
    ):
        reasons.remove("not_verified")
    if reasons and not (modal and not negative and deeds):
        acts.update(reasons)
        return 0
    topics = [deed for deed, pattern in _TOPIC.items() if pattern.search(clause)]
    if negative and (topics or _POSSIBLE.search(clause)) and not re.search(r"\bno (problem|worries|trouble)\b", clause):
        acts.add("refuse")
    elif modal and (topics or deeds):
        acts.add("promise")
    elif _GENERIC.search(clause) and not negative and not modal:
        acts.add("done")
    return 0
