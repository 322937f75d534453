"""Programs that are nothing but functions of numbers, texts and lists, told by their code before any of it runs.

Such programs may follow each other in one child, which saves most of what a grading takes. So none may find, or change,
anything that another one sees, by whatever the interpreter offers or has bugs in. What is let through is a language so
small (a list of operations, names and constants) that

- nothing leads to the interpreter: no attributes but some methods of texts and lists, no builtins but functions that
  compute, and no types; no imports, no classes, no exceptions in a program's hands;
- no code of a program runs but what the judge has called: no generators, no finalizers, nothing that C code calls back
  (`key=`, `map`), which is what most bugs need that break an interpreter's memory;
- there are no hash tables but constant sets and the table of the program's own names, and no iterators to hold on to,
  which have had such bugs by themselves.

A program can still end the child, say with a tuple a million tuples deep: then all that it held are graded alone.

What is not on the lists is graded alone, as everything once was: an operation of a later Python, too.
"""

import builtins
import opcode
import types

_OPERATIONS = """
    BINARY_ADD BINARY_AND BINARY_FLOOR_DIVIDE BINARY_LSHIFT BINARY_MODULO BINARY_MULTIPLY BINARY_OP BINARY_OR
    BINARY_POWER BINARY_RSHIFT BINARY_SLICE BINARY_SUBSCR BINARY_SUBTRACT BINARY_TRUE_DIVIDE BINARY_XOR BUILD_LIST
    BUILD_SLICE BUILD_STRING BUILD_TUPLE CACHE CALL CALL_FUNCTION CALL_FUNCTION_KW CALL_KW CALL_METHOD COMPARE_OP
    CONTAINS_OP COPY COPY_FREE_VARS DUP_TOP DUP_TOP_TWO END_FOR EXTENDED_ARG FORMAT_SIMPLE FORMAT_VALUE
    FORMAT_WITH_SPEC FOR_ITER GET_ITER INPLACE_ADD INPLACE_AND INPLACE_FLOOR_DIVIDE INPLACE_LSHIFT INPLACE_MODULO
    INPLACE_MULTIPLY INPLACE_OR INPLACE_POWER INPLACE_RSHIFT INPLACE_SUBTRACT INPLACE_TRUE_DIVIDE INPLACE_XOR IS_OP
    JUMP_ABSOLUTE JUMP_BACKWARD JUMP_FORWARD JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP KW_NAMES LIST_APPEND LIST_EXTEND
    LOAD_ATTR LOAD_CLOSURE LOAD_CONST LOAD_DEREF LOAD_FAST LOAD_FAST_AND_CLEAR LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST
    LOAD_GLOBAL LOAD_METHOD LOAD_NAME MAKE_CELL MAKE_FUNCTION NOP POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_NONE
    POP_JUMP_BACKWARD_IF_NOT_NONE POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_NONE
    POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_FORWARD_IF_TRUE POP_JUMP_IF_FALSE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE
    POP_JUMP_IF_TRUE POP_TOP PRECALL PUSH_NULL RERAISE RESUME RETURN_CONST RETURN_VALUE ROT_FOUR ROT_THREE ROT_TWO
    SET_FUNCTION_ATTRIBUTE STORE_DEREF STORE_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST STORE_NAME STORE_SUBSCR
    SWAP TO_BOOL UNARY_INVERT UNARY_NEGATIVE UNARY_NOT UNARY_POSITIVE UNPACK_SEQUENCE
"""
_BUILTINS = "abs all any chr divmod len max min ord pow range round sorted sum"
_METHODS = """
    append capitalize count endswith extend find index insert isalnum isalpha isdigit islower isspace isupper join
    lower lstrip pop remove replace reverse rfind rstrip sort split startswith strip swapcase title upper zfill
"""

#: All builtins that such a program has.
BUILTINS = {name: getattr(builtins, name) for name in _BUILTINS.split()}

_ALLOWED = frozenset(opcode.opmap[name] for name in _OPERATIONS.split() if name in opcode.opmap)
_KNOWN = frozenset([*_BUILTINS.split(), *_METHODS.split()])
#: Names of builtins (also of those that `site` makes, or `programs.furnish`), and of attributes of any type that there
#: is, whether or not an object of it can be had.
_TAKEN = frozenset([*dir(builtins), "copyright", "credits", "exit", "help", "license", "quit"]).union(
    *(dir(kind) for kind in (*vars(builtins).values(), *vars(types).values()) if isinstance(kind, type))
)
_OF_ATTRIBUTES = frozenset(opcode.opmap[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if name in opcode.opmap)
#: A slice that is assigned to has been a way into memory (python/cpython#120384).
_SLICES = frozenset({opcode.opmap["BUILD_SLICE"], opcode.opmap["STORE_SUBSCR"]})
_WITH_KEYWORDS = frozenset(opcode.opmap.get(name, -1) for name in ("CALL_FUNCTION_KW", "CALL_KW", "KW_NAMES"))
_KEYWORDS = frozenset({"reverse", "start"})
_REFUSED = 0x08 | 0x20 | 0x80 | 0x200  # the flags of functions with `**k`, which is a dict, generators, coroutines
_PLAIN = (bool, int, float, complex, str, type(None))


def is_restricted(module: types.CodeType) -> bool:
    """Whether a compiled program is of the small language, with all its functions."""
    if not _OF_ATTRIBUTES.isdisjoint(module.co_code[::2]):
        return False  # so that the names in the module's table are those of globals, its own among them
    own = {name for name in module.co_names if not (name in _TAKEN or name.startswith("_"))}
    pending, operations = [module], frozenset[int]()
    while pending:
        part = pending.pop()
        here = frozenset(part.co_code[::2])
        operations |= here
        if part.co_flags & _REFUSED or not own.union(_KNOWN).issuperset(part.co_names):
            return False
        for constant in part.co_consts:
            if isinstance(constant, types.CodeType):
                pending.append(constant)
            elif not _is_plain(constant, by_keyword=not here.isdisjoint(_WITH_KEYWORDS)):
                return False
    return operations <= _ALLOWED and not operations >= _SLICES


def _is_plain(constant: object, by_keyword: bool) -> bool:
    """Whether a constant is plain data; where arguments are given by name, a tuple of texts may be their names."""
    if isinstance(constant, tuple) and by_keyword and constant and all(isinstance(item, str) for item in constant):
        return _KEYWORDS.issuperset(constant)
    if isinstance(constant, (tuple, frozenset)):
        return all(_is_plain(item, by_keyword) for item in constant)
    return type(constant) in _PLAIN
