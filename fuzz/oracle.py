"""Answers whether PyYAML, the agent's reader, reads the output as it was meant. One line of JSON in, one line out.

A question has `after`, the output. It can have `before`, a user's own file whose entries the output must hold with the
same types and values, except those in `dropped`. It can have `texts`, the texts that entries must have.
"""

import datetime
import json
import math
import sys

import yaml

# Aliases can make a small file a large value. A larger one is not compared.
MAX_VALUES = 20_000


def size(value: object, known: dict[int, int], depth: int = 0) -> int:
    """The number of values in a value. Shared ones count each time."""
    if not isinstance(value, (dict, list, tuple, set)):
        return 1
    if id(value) in known:
        return known[id(value)]
    if depth > 150:
        return MAX_VALUES + 1
    known[id(value)] = MAX_VALUES + 1  # A value that contains itself has no end.
    items = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    known[id(value)] = 1 + sum(size(item, known, depth + 1) for item in items)
    return known[id(value)]


def exact(value: object) -> object:
    """The value with all its types, which `==` ignores: `1`, `1.0` and `True` are equal for Python."""
    if isinstance(value, dict):
        return "dict", [(exact(key), exact(one)) for key, one in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [exact(one) for one in value]
    if isinstance(value, set):
        return "set", sorted(repr(exact(one)) for one in value)
    if isinstance(value, float):
        return "float", "nan" if math.isnan(value) else value.hex()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return type(value).__name__, value.isoformat()
    return type(value).__name__, value


def sorted_exact(value: object) -> str:
    """As `exact`, without the order of keys."""
    kind = exact(value)
    return repr(unordered(kind))


def unordered(value: object) -> object:
    if isinstance(value, tuple) and value and value[0] == "dict":
        return "dict", sorted(repr((unordered(key), unordered(one))) for key, one in value[1])
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], list):
        return value[0], [unordered(one) for one in value[1]]
    return value


def entries(document: object, section: str) -> dict:
    found = document.get(section) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def problem(question: dict) -> str | None:
    """What is wrong, if anything is."""
    try:
        after = yaml.safe_load(question["after"])
    except Exception as error:  # noqa: BLE001 - any error makes the file useless for the agent
        return f"PyYAML refuses the output: {error}"
    for name, fields in question.get("texts", {}).items():
        entry = entries(after, "toolsets").get(name) or entries(after, "mcp_servers").get(name)
        if not isinstance(entry, dict):
            return f"there is no entry {name!r}"
        for field, text in fields.items():
            found = entry.get(field)
            if not isinstance(found, str) or not found.endswith(text):
                return f"{field} of {name!r} is {found!r} and not {text!r}"
    if "before" not in question:
        return None
    try:
        before = yaml.safe_load(question["before"])
    except Exception:  # noqa: BLE001 - what the agent refuses has no meaning to keep
        return None
    for section in ["toolsets", "mcp_servers"]:
        own = entries(after, section)
        for name, entry in entries(before, section).items():
            if name in question["ours"] or size(entry, {}) > MAX_VALUES:
                continue
            if name not in own:
                if not question["dropped"]:
                    return f"entry {name!r} is missing, and nothing says so"
                continue
            if sorted_exact(entry) != sorted_exact(own[name]):
                return f"entry {name!r} was {entry!r} and is {own[name]!r}"
    return None


def main() -> None:
    sys.setrecursionlimit(20_000)
    for line in sys.stdin:
        try:
            answer = problem(json.loads(line))
        except RecursionError:
            answer = None
        sys.stdout.write(json.dumps(answer or "ok") + "\n")
        sys.stdout.flush()


main()
