"""The patterns that words to a customer are understood by: forms of sentences, claims, small talk and questions."""

from __future__ import annotations

import re


def _words(*alternatives: str) -> re.Pattern[str]:
    """A pattern for any of these alternatives, each from the beginning of a word to the end of one."""
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b")


# The form of a sentence

SPELT = (("can't", "can not"), ("cannot", "can not"), ("won't", "will not"), ("let's", "let us"), ("i'm", "i am"))
ENDINGS = (("n't", " not"), ("'ve", " have"), ("'ll", " will"), ("'re", " are"), ("'d", " would"), ("'s", " is"))
PREAMBLE = re.compile(r"\byou will be (glad|happy|pleased|relieved) to (hear|know|learn)( that)?\b")
LEAD = (
    r"^(?:(?:and|so|ok|okay|hello|hi|sorry|well|first|then|now|also|thanks|thank you|before that|for that|to help) )*"
)
CONDITION = re.compile(r"\s*(?:if|once|when|as soon as|unless|until|should)\b")
WORD = re.compile(r"[a-z0-9]+")
#: Sentences that ask, whatever they mention.
COMMAND = re.compile(
    LEAD + r"(?:(?:please|kindly) )?(?:(?:could|can|would|will|may) you (?:please |kindly )?)?"
    r"(?:tell|give|send me|provide|share|name|let me (?:know|have)|enter|type|state|confirm|describe|explain|"
    r"verify)\b"
)
CHECK = re.compile(r"\b(?:let me|i will|i have to|i must) (?:\w+ )?(?:check|verify|confirm) your\b")
#: Sentences that may ask.
REQUEST = re.compile(
    LEAD
    + r"(?:what|which|who|whose|whom|with whom|where|how|under|in|on|to|could|can|may|might|would|do|does|did|is|are|"
    r"was|were|have|has|please|your|the (?:new )?(?:order|name|postcode|number|address|item))\b"
    r"|\b(?:i|we) (?:will |would |do |still |also |just |first )*(?:need|require|have to|must|want) (?:to )?"
    r"(?:know|ask|check|verify|have|see|the|your|a|an)\b|\bneed (?:the|your)\b"
)
NEGATIVE = _words(
    *("not", "no", "never", "unable", "impossible", "refuse", "decline", "nothing", "neither", "denied", "deny"),
    *("reject", "rejected", "against", "turn down", "nobody", "none"),
)
MODAL = _words(
    *("will", "shall", "going to", "let me", "can", "could", "would", "may", "might", "try", "trying", "want to"),
    *("about to", "should", "have to", "need to", "must", "to be", "if", "once", "as soon as", "unless", "until"),
    *("before", "happy to", "able to", "like to", "soon", "shortly", "in a moment", "processing", "working on"),
    *(r"you get", r"i am \w+ing", "promise", "allowed"),
)

#: Sentences in which a customer speaks: a bot has no orders, and sends things itself.
CUSTOMER = _words(
    r"my (?:own )?(?:order|parcel|account|money|item|address|name|postcode|sister|neighbour|bank|number)",
    "you (?:sent|shipped|took|broke|locked)",
    "i (?:used|opened|bought|tried)",
)

# Claims

LOGIN = _words(r"you (?:can|should be able to|may|could) (?:now |again )?(?:log|sign|get) (?:in|on|back in)")
SENT = r"(?:sent|shipped|dispatched|ordered|mailed|posted|put|issued|arranged|packed|gave|got|booked|delivered)"
NEW = r"(?:new|replacement|another|fresh|second one|right|correct|again|one more)"
GIVEN = (
    r"(?:issued|made|processed|sent|given|gave|granted|started|completed|arranged|did|booked|approved|put through|"
    r"transferred|initiated|triggered|released)"
)
SUM = r"(?:refund|money|amount|sum|charge|payment|price)"
FINISHED = (
    r"(?:done|completed?|processed|issued|made|sent|through|on (?:its|the) way|confirmed|booked|went out|complete|"
    r"out)"
)
#: Deeds that were done.
DONE: dict[str, re.Pattern[str]] = {
    "refunded": _words(
        "refunded",
        "reimbursed",
        "credited",
        rf"{GIVEN}\b.*\b{SUM}",
        rf"refund\b.*\b{FINISHED}",
        r"(?:money|amount|charge|payment|price|sum)\b.*\b(?:is|was|went|goes|has been|are|being)\b.*"
        r"\b(?:back|returned|on (?:its|the) way|sent|reversed)",
        r"(?:paid|sent|gave|given|transferred|returned|booked|wired|put)\b.*\bback",
        r"(?:returned|reversed|removed|undid)\b.*\b(?:money|amount|charge|payment|sum|price)",
        r"(?:have|got|has) (?:all )?(?:your|the) money(?: back| again)?",
    ),
    "replaced": _words(
        *("replaced", "resent", "reshipped", "exchanged", "swapped"),
        rf"{SENT}\b.*\b{NEW}",
        r"(?:new|replacement|another|fresh|right|correct|second) ?(?:one|item|\w+)?\b.*\b(?:sent|on (?:its|the|"
        r"your) way|"
        r"shipped|ships|dispatched|coming|comes|under ?way|left|heading|headed|travelling|out|posted|ordered|"
        r"in the (?:post|mail)|booked|arranged)",
        r"(?:you (?:get|receive)|there is) (?:a new|another|a replacement)",
        r"sent (?:it|your order|the \w+) (?:out )?(?:again|once more|a second time)",
    ),
    "cancelled": _words(
        r"cancell?ed",
        r"cancell?ation\b.*\b(?:done|completed?|confirmed|through|processed|went)",
        "called off",
        r"(?:stopped|withdrew|withdrawn|voided|annulled|removed|deleted|took back|revoked)\b.*\b(?:order|purchase)",
        r"(?:order|purchase)\b.*\b(?:stopped|void|withdrawn|annulled|called off|off|no longer active|revoked|"
        r"deleted)",
    ),
    "moved": _words(
        r"(?:address|destination|city|delivery)\b.*\b(?:changed|updated|corrected|set|switched|amended|adjusted|"
        r"edited|"
        r"new now|entered|saved|replaced|fixed|right now|in the system|now (?:right|correct|new)|noted|registered|"
        r"stored)",
        r"(?:changed|updated|corrected|set|switched|amended|adjusted|entered|saved|edited|put|noted|registered|"
        r"stored|"
        r"recorded)\b.*\b(?:address|destination|city)",
        *("redirected", "rerouted", "readdressed", "sent on"),
        r"(?:goes|going|headed|heading|travels|travelling|on its way|addressed) (?:now )?to (?!you\b|be\b)",
    ),
    "unlocked": _words(
        *("unlocked", "unblocked", "unfrozen"),
        r"(?:account|login|access)\b.*\b(?:open|opened|active|activated|reactivated|restored|working|works|"
        r"accessible|"
        r"free|fixed|enabled|back|available|reset|usable)",
        r"(?:opened|reopened|restored|reset|reactivated|enabled|freed|fixed|released|activated)\b.*"
        r"\b(?:account|login|access|password)",
        r"(?:lock|block)\b.*\b(?:removed|lifted|gone|off)",
        r"(?:removed|lifted|took off|undid)\b.*\b(?:lock|block)",
    ),
}
#: The topics of deeds, for promises and refusals.
TOPICS: dict[str, re.Pattern[str]] = {
    "refunded": _words(r"refund\w*", "money", r"reimburs\w*", r"pay\b.*\bback"),
    "replaced": _words(r"replac\w*", r"(?:send|ship)\b.*\b(?:new|another|again)", "new one", "exchange"),
    "cancelled": _words(r"cancel\w*"),
    "moved": _words(r"(?:change|update|correct)\b.*\baddress", "redirect", r"address\b.*\b(?:change|update)"),
    "unlocked": _words(r"unlock\w*", r"(?:open|reset|free)\b.*\b(?:account|password)"),
}
GENERIC = _words(
    *("done", "fixed", "solved", "resolved", "settled", "sorted", "care of", "all set", "finished", "handled"),
    *("successful", "successfully", "completed?", "dealt with"),
)
POSSIBLE = _words(
    *(
        "can",
        "could",
        "possible",
        "able",
        "allowed?",
        "allows?",
        "policy",
        r"permit\w*",
        "will",
        "may",
        "grant",
        "accept",
    ),
    *("do", "offer", "unfortunately", "help", "refunds?", "returns?", "cancel", "change", "replace", "no", "refuse"),
    *("decline", "denied", "deny", "rejected?", "turn down", "against", "impossible"),
)
OVER = (
    r"(?:over|expired|ended|passed|closed|gone|up|exceeded|run out|ran out|finished|lapsed|past|void|elapsed|"
    r"behind you|"
    r"not (?:\w+ )?any ?(?:more|longer)|no longer|invalid)"
)
#: Reasons for a refusal, and news.
REASONS: dict[str, re.Pattern[str]] = {
    "warranty_over": _words(
        rf"(?:warranty|guarantee)\b.*\b(?:{OVER}|out|not|beyond|24|two years|ends|covers?|left|expires|lasts?)",
        r"(?:out of|past|no longer (?:under|in|has|have)|beyond|outside|without|not under|no|exceeds) "
        r"(?:(?:the|its|your|any|a|our) )?(?:warranty|guarantee)",
        r"too old\b.*\b(?:warranty|guarantee)",
        r"(?:older|more|longer) than (?:24|two|twenty)",
        r"over (?:two years|24 months)",
        r"(?:two years|24 months)\b.*\b(?:over|passed|gone|ago|past)",
    ),
    "too_late": _words(
        r"(?:30|thirty)\b.*\bdays?",
        "(?:30|thirty) days?",
        r"(?:returns?|refund) (?:period|window|time|deadline|date|right)",
        rf"(?:period|window|deadline|time limit|time|days)\b.*\b{OVER}",
        r"too (?:late|long ago|old|long|much time)",
        r"(?:more|longer) than (?:a|one) month",
        r"(?:after|within|over) (?:a|one) month",
        r"missed\b.*\b(?:deadline|window|period)",
        r"(?:a|one|the) month (?:is|has|are) (?:over|passed|gone)",
    ),
    "used": _words(
        "(?:un)?used", "unworn", "worn", "(?:un)?opened", "not (?:as )?new", "no longer new", "signs of use"
    ),
    "shipped": _words(
        *(
            "shipped",
            r"(?<!nothing )(?<!is )left(?! to)",
            "dispatched",
            "on (?:its|the) way",
            "gone out",
            "went out",
            "out for delivery",
            "under ?way",
        ),
        *("in transit", "posted", "travelling", "been sent", "was sent", "is sent", "sent out", "already sent"),
        *("handed (?:it )?(?:over|to)", "with the (?:carrier|courier|driver|post)", "sent it", "mailed", "on the road"),
        r"(?:carrier|courier|driver|post(?:man)?) (?:already |now )?(?:has|took|picked)",
        r"out of (?:our|the) (?:hands|house|warehouse)",
        r"no longer (?:here|with us|in (?:our|the) (?:house|warehouse))",
    ),
    "not_verified": _words(
        r"(?:post ?code|zip|zip code|postal code|code)\b.*\b(?:wrong|not|different|incorrect|invalid|fails?|failed|"
        r"mismatch|no match)",
        r"(?:wrong|incorrect|invalid|different|not|another)\b.*\b(?:post ?code|zip|postal|code)",
        r"(?:verify|verified|identify|identified|identity|authenticated?|verification|prove|proof|confirm who|"
        r"sure who|"
        r"confirm that (?:it|this) is you|who you are)",
    ),
    "not_yours": _words(
        r"not (?:\w+ )?(?:yours|your (?:own )?(?:order|parcel|item|purchase)|in your name|under your name|"
        r"made by you|"
        r"the (?:owner|buyer|customer)|by you|placed by you|bought by you)",
        r"(?:someone|somebody|another|other|different|neighbours?|else)\b.*\b(?:orders?|customer|person|people|name|"
        r"account|owner|belongs?|bought|buyer|money|else|neighbour)",
        r"other (?:people|customers)",
        "belongs? to",
        r"only (?:the |your )?(?:owner|buyer|neighbour|customer|person|who)",
        r"(?:neighbour|owner|buyer) (?:has|must|needs|should|can|could|may|would)",
    ),
    "charged_once": _words(
        r"(?:charged?|paid|billed|payments?|charges|debited|pay|took|taken|booked|money)\b.*"
        r"\b(?:once|one (?:single )?time|single|only one|just one|only 1)",
        r"(?:once|only one|just one|a single|one single|only 1|exactly one|one)\b.*"
        r"\b(?:charged?|payment|paid|debit|debited|billed|booking|booked)",
        r"no (?:second|double|extra|duplicate|other|additional) (?:charge|payment|debit)",
        r"not\b.*\b(?:twice|double|two times|second)",
    ),
}
NUMBERS = {
    word: k for k, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)
}
DAYS = re.compile(
    rf"\b(\d{{1,2}}|{'|'.join(NUMBERS)}|(?<=in )a) (?:(?:more|working|business|further) )?days?\b"
    r"(?! (?:ago|late|old|have|are|is|were|after|since))"
)
NOT_DAYS = _words("warranty", "guarantee", r"returns?", "within", "more than", "policy", "limit")
LOST = _words("lost", "missing", "disappeared", "vanished", "can not be found")
NOT_FOUND = _words(r"(?:not|unable to|never) (?:find|see|locate)", "no (?:such )?order", "not (?:found|exist)")

# Small talk

WAIT = _words(
    *("moment", "one second", "a second", "(?:a|one|few|some|two) minutes?", "please wait", "hold on", "bear with"),
    *("stay with", r"let me (?:check|look|see|find)", r"(?:will|am) (?:\w+ )?(?:check|checking|look|looking|see)"),
    *("looking into", r"give me (?:a|some) (?:time|moment|bit)", "patient", "patience"),
)
ELSE = _words("(?:anything|something|what) else", "any(?:thing)? (?:other|further|more)", "more i can", "else i can")
SMALL: dict[str, re.Pattern[str]] = {
    "sorry": _words("sorry", r"apolog\w*", "regret", "pardon", "forgive", "afraid"),
    "thanks": _words("thanks?", "appreciate", "grateful"),
    "greet": re.compile(r"^(?:hello|hi|hey|welcome|good (?:morning|day|evening|afternoon)|greetings|dear)\b"),
    "bye": _words("bye", "goodbye", "farewell", "see you", "have a (?:nice|good|great)"),
}

# Questions

ASKS: dict[str, re.Pattern[str]] = {
    "code": _words("post ?codes?", "postal", "zip"),
    "item": _words(
        r"(?:which|what)(?: kind of| sort of)? (?:item|product|article|thing|goods|piece)",
        r"(?:which|what)(?: one)? (?:did|have|had) you (?:order|buy|bought|purchase|ordered|purchased)",
        r"(?:which|what) (?:of|is) (?:the|your) (?:items?|products?|articles?)",
        r"(?:item|product|article)\b.*\b(?:is it|is this|about|which|name|mean|do you|did you|was it|please|called)",
        r"(?:name|tell me (?:which|what)) (?:of )?(?:the )?(?:item|product|article)",
        r"what (?:did|was|is) (?:it|you)(?: that you)? (?:\w+ )?(?:buy|bought|order|ordered|purchase|purchased)",
        r"what you (?:have )?(?:bought|ordered|purchased)",
    ),
    "number": _words(
        *(
            "number",
            "order (?:id|no|code|reference)",
            "(?:which|what)(?: of your)? (?:orders?|parcel|purchase|package)",
        ),
        *("reference", "confirmation code", r"find (?:(?:your|the|that|this|an|any) )?(?:order|parcel)"),
    ),
    "name": _words(
        *("names?", "whom", "what (?:are you|should i) call", "how (?:are you called|should i (?:call|address))"),
        *(
            r"who (?:am i|are you|is (?:this|it|there|writing)|do i|should i|placed|made|is the customer)",
            "and you are",
        ),
        r"what (?:should|can|may|do|shall) \w+ call you",
    ),
    "want": _words(
        r"(?:refund|money|replacement)\b.*\bor",
        r"or\b.*\b(?:refund|money|replacement)",
        r"prefer\w*",
        "rather",
        r"(?:what|which)\b.*\b(?:you like|you want|choose|pick|suits?|option|solution|better)",
        r"would you like (?:a|us to|me to|the|your|to get|to have)",
        r"do you (?:want|wish) (?:a|us to|me to|the|your|it)",
        "your choice",
        r"how (?:should|shall|would you like|do you want|can) (?:i|we|us|me|this|it)\b.*\b(?:make|solve|put|fix|"
        r"right|settle)",
        r"(?:new one|replacement|refund)$",
        r"shall (?:i|we) (?:send|refund|replace)",
    ),
    "used": _words(
        *("(?:un)?used?", "using", "(?:un)?opened", "(?:un)?worn", "condition", r"packag\w*", "box", "tried", "sealed"),
        *(
            "(?:still|like|as) (?:good as )?new",
            "tags?",
            r"wrapp\w*",
            "touched",
            "open it",
            "try it",
            "signs of",
            "wear it",
        ),
    ),
    "city": _words(
        *("address", "city", "town", "destination", "where to", "where you (?:live|moved)", "place"),
        r"where\b.*\b(?:send|deliver|ship|go|live|move|moved|bring|sent|delivered|shipped|to|take|parcel be)",
    ),
    "kind": _words(
        *("problem", "issue", "wrong", "matter", "happened", "happening", "trouble", "concern", "going on", "help"),
        *(
            "explain",
            "describe",
            "details",
            "assist",
            "about",
            "reason",
            "tell me more",
            "do for you",
            "up",
            r"bother\w*",
        ),
        *(
            "upset",
            r"troubl\w*",
            "question",
            "need",
            "want",
            "unhappy",
            "case",
            "story",
            "fault",
            "more about",
            "service",
        ),
        *("brings you", "say more", "bit more"),
    ),
}
HELP = _words("help", "assist", "problem", "issue")
