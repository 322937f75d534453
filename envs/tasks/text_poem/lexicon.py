"""The words of generated verse, by their part in a line; every word's syllables and stress are known by its class."""

from __future__ import annotations

#: Nouns of one syllable that end lines; the nouns of a group rhyme.
RHYMES = (
    ("sea", "tree", "bee", "key"),
    ("day", "bay", "way", "clay", "spray"),
    ("night", "light", "sight", "flight"),
    ("rain", "plain", "lane", "grain", "pane"),
    ("stone", "bone", "throne", "tone"),
    ("shore", "door", "floor", "core"),
    ("dark", "lark", "mark", "spark"),
    ("spring", "wing", "king", "string"),
    ("moon", "noon", "dune", "tune"),
    ("sand", "land", "hand", "strand"),
    ("gold", "cold", "fold", "hold"),
    ("stream", "dream", "gleam", "beam"),
    ("heart", "chart", "part", "start"),
    ("air", "stair", "lair", "chair"),
    ("hill", "mill", "chill", "sill"),
    ("snow", "glow", "crow", "flow"),
)
#: Themes, and the nouns of one syllable that belong to each.
THEMES = {
    "the sea": ("sea", "wave", "tide", "ship", "salt", "sand", "shore", "bay", "spray"),
    "the night": ("night", "moon", "star", "dark", "dream", "lamp", "sleep"),
    "the rain": ("rain", "cloud", "storm", "stream", "wind", "pane", "drop"),
    "spring": ("spring", "leaf", "rose", "tree", "bee", "lark", "sun"),
    "winter": ("snow", "frost", "wind", "cold", "chill", "bone", "smoke"),
    "love": ("heart", "hand", "kiss", "flame", "rose", "dream", "vow"),
    "the road": ("road", "dust", "lane", "way", "hill", "stone", "foot"),
    "home": ("door", "floor", "stair", "hearth", "bread", "lamp", "chair"),
}
#: Adjectives of two syllables, stressed on the first.
ADJECTIVES = (
    *("silver", "golden", "quiet", "gentle", "hollow", "bitter", "tender", "distant", "lonely", "broken"),
    *("little", "weary", "sleeping", "burning", "heavy", "morning", "secret", "sudden", "winding", "fading"),
)
#: Verbs of one syllable that take an object.
VERBS = ("find", "keep", "love", "know", "hear", "seek", "watch", "guard", "leave", "praise")
PREPOSITIONS = ("on", "in", "by", "near", "past", "down")
#: Nouns within a line: those of the themes, and those that rhyme.
NOUNS = tuple(dict.fromkeys((*(noun for nouns in THEMES.values() for noun in nouns), *(w for g in RHYMES for w in g))))

_CLASSES = {"A": ADJECTIVES, "N": NOUNS, "V": VERBS, "P": PREPOSITIONS, "E": tuple(w for g in RHYMES for w in g)}

#: Lines without their optional adjectives: A may stand where it is written in brackets, all else is a word or a class.
#: Unstressed and stressed syllables alternate, and each adjective adds one foot.
TEMPLATES = (
    "The [A] N is P the [A] E",
    "My [A] N will V the [A] E",
    "The [A] N goes P the [A] E",
    "No [A] N, no N, no [A] E",
    "O [A] N, O [A] E",
    "I V the [A] N and V the [A] E",
    "So V the [A] N and V the [A] E",
    "You V the [A] N, you V the [A] E",
    "The [A] N and I, we V the [A] E",
    "And still the [A] N is P the [A] E",
    "The [A] N is gone, I V the [A] E",
    "Where N and N will V the [A] E",
)


def words_of(symbol: str) -> tuple[str, ...]:
    """The words that a symbol of a template stands for: those of a class, or the word itself."""
    return _CLASSES.get(symbol, (symbol,))
