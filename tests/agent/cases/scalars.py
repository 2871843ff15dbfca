"""What the agent reads in an entry of the output is what it reads in the base file: the same types and the same values.

The agent reads with python-benedict, which uses PyYAML, which follows YAML 1.1.
"""

import datetime
import math
import pathlib
import random
import tempfile

import yaml
from benedict import benedict

from cluster import config_map, product, toolset_config
from world import World

SEED = 20_261_101

# Plain scalars and other notations of single values, as people write them.
WRITTEN = """
1e3 1E3 12e45 12e4567 1.0e3 1.0e+3 1.5e-07 1.0e+999 08 09.5 010 0o17 0x1F 0x_F 0b101 0b2 1_000 1_0.5_0 +1 -1 -0 1. .5 -.5 00 0_ 0777
1:30 -1:30 190:20:30 190:20:30.15 0:30 1:60 12:30:45 .nan .NaN .inf -.Inf +.INF nan inf -0.0 123456789012345678901234567890
340282366920938463463374607431768211456 -170141183460469231731687303715884105728 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF
2020-01-01 2024-02-29 2020-1-1 2001-12-14t21:59:43.10-05:00 2001-12-15T02:59:43Z 2020-01-01T00:00:00.123456789
yes no on off y n Yes NO On True FALSE tRue ~ null Null nil none 1.2.3 1.2.3.4:80 v1 _1 1__0 -- http://a:80/x?y=1#z a#b a:b <<x =x .. ...x
'yes' '1e3' "1e3" "\\x41\\u263A\\L\\N\\0\\e" "\\U0001F600" 😀 é 'it''s' "\\/" [1e3,yes] {a:1} {"a":1e3} {a,b:} [] {} [[],{}]
""".split() + [
    "2001-12-14 21:59:43.10 -5",
    "! 12",
    "! '12'",
    "!!str 1",
    "!!str",
    "!!float 1",
    "!!float 1e3",
    "!!float nan",
    "!!int '3'",
    "!!int 0o17",
    "!!bool YeS",
    "!!null x",
    "!!binary aGVsbG8=",
    "!!timestamp 2020-1-1",
    "!!set {a, 1, 2020-01-01}",
    "!!omap [a: 1e3, b: 2]",
    "!!pairs [a: 1, a: 2]",
    "!<tag:yaml.org,2002:int> '7'",
    "{1: x, 2.5: y, null: z, no: w, 2020-01-01: d, 123456789012345678901234567890123456789012345: b}",
    "{1: a, true: b, 1.0: c}",
    "{a: 1, a: 2, '': e, =: f, '<<': g}",
    "&two 1e3",
    "*one",
    "{<<: *map, own: 1}",
    "{<<: [*map, {shared: 2, s: 2}], own: 2020-01-01}",
    "[{<<: *map, shared: 3}, *map]",
    "|\n        first\n          more\n\n        last",
    "|-\n        first\n\n",
    "|+\n        first\n\n\n",
    ">\n        folded\n        text\n\n         more\n        end\n",
    "|2\n          indented\n        less",
    "plain\n        over\n\n        lines",
    "'quoted\n        over\n\n        lines'",
    '"quoted \\\n        over\\\n        \\ lines\\n"',
    "",
]

# What PyYAML refuses a whole file for, and a piece of the message that names it.
REFUSED = {
    "2020-13-45": "2020-13-45",
    "2023-02-29": "2023-02-29",
    "2001-12-14T25:00:00Z": "2001-12-14T25:00:00Z",
    "0x_": "0x_",
    "=": "the value =",
    "[<<]": "the value <<",
    "!include other.yaml": "!include",
    "!!python/name:os.system": "!!python/name:os.system",
    "!!int x": "!!int",
    "!!bool maybe": "!!bool",
    "!!seq {a: 1}": "!!seq",
    "!!binary x": "!!binary",
    "{<<: 1}": "a <<",
    "{? [a] : 1}": "a key",
    "{a.b: 1}": '"a.b"',
    "&own [*own]": "an alias",
    "1" * 5000: "1111…",
}

FILES = {
    "a directive": "%YAML 1.1\n---\ntoolsets: {t: {v: 010}}\n",
    "an end": "toolsets: {t: {v: 1e3}}\n...\n",
    "a byte order mark": "\ufefftoolsets: {t: {v: 08}}\n",
    "carriage returns": "toolsets:\r\n  t:\r\n    v: |\r\n      a\r\n      b\r\n    w: 1e3\r\n",
    "other line breaks": "toolsets:\x85  t:\x85    v: 1e3 # a\u2028    w: x\u2029    u: 'a\x85     b'\n",
    "a merged section": "x: &x {t: {v: 1:30}}\ntoolsets: {<<: *x}\n",
    "a merged file": "x: &x {toolsets: {t: {v: 0o17}}}\n<<: *x\n",
    "a repeated section": "toolsets: {a: {v: 1}}\ntoolsets: {t: {v: 2}, t: {v: 3}}\n",
    "a tag handle": "%TAG !y! tag:yaml.org,2002:\n---\ntoolsets: {t: {v: !y!float 1}}\n",
    "JSON": '{"toolsets": {"t": {"v": 1e3, "w": "\\u00e9", "x": [1, 2.5, null, true]}}}',
}


def read(text: str) -> dict:
    """Reads a file as the agent does."""
    with tempfile.TemporaryDirectory(prefix="toolset-scalars-") as folder:
        file = pathlib.Path(folder) / "custom_toolset.yaml"
        file.write_text(text, encoding="utf-8", newline="")
        return benedict(str(file)).dict()


def exact(value: object) -> object:
    """The value with all its types, which `==` ignores: `1`, `1.0` and `True` are equal for Python."""
    if isinstance(value, dict):
        return "dict", frozenset((exact(key), exact(one)) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return type(value).__name__, tuple(exact(one) for one in value)
    if isinstance(value, set):
        return "set", frozenset(exact(one) for one in value)
    if isinstance(value, float):
        return "float", "nan" if math.isnan(value) else value.hex()
    if isinstance(value, datetime.datetime):
        return "datetime", value.isoformat()
    return type(value).__name__, value


def output(world: World, base: str) -> tuple[dict, str]:
    """What the agent reads in the output, and the notes of the operator."""
    own = config_map("my-toolsets", custom_toolset__yaml=base)
    config = toolset_config(output={"base": {"configMapName": "my-toolsets"}})
    file, notes = world.operator.file([product("Loki"), own, config])
    return read(file), notes


def compare(world: World, base: str) -> int:
    """Compares every entry of a base file with the same entry in the output."""
    before = read(base)
    after, notes = output(world, base)
    assert not notes.strip(), f"{notes}\n{base}"
    for name, entry in before["toolsets"].items():
        there = after["toolsets"].get(name)
        assert exact(there) == exact(entry), f"{name}: the base has {entry!r}, the output has {there!r}"
    return len(before["toolsets"])


def every_notation_of_a_value_keeps_its_meaning(world: World) -> None:
    anchors = "toolsets:\n  first: {map: &map {shared: 1, s: 1, other: 08}, one: &one 1e3}\n"
    entries = [f"  entry-{number}:\n    config:\n      value: {text}\n" for number, text in enumerate(WRITTEN)]
    world.says(f"{compare(world, anchors + ''.join(entries))} values")


def every_file_that_the_agent_reads_is_taken(world: World) -> None:
    for what, base in FILES.items():
        assert compare(world, base), what


def values_in_every_style_keep_their_meaning(world: World) -> None:
    """Random values, written by PyYAML in all its styles."""
    draw = random.Random(SEED)
    values = 0
    for number in range(12):
        entries = {f"entry-{one}": {"config": {key(draw): value(draw, 0) for _ in range(4)}} for one in range(30)}
        base = yaml.safe_dump(
            {"toolsets": entries},
            default_style=[None, '"', "'", "|", ">", None][number % 6],
            default_flow_style=[False, None, True][number % 3],
            width=draw.choice([20, 80, 1000]),
            indent=draw.choice([2, 4]),
            allow_unicode=number % 4 != 0,
            canonical=number == 11,
        )
        values += 4 * compare(world, base)
    world.says(f"{values} random values")


def key(draw: random.Random) -> object:
    if draw.random() < 0.2:
        return draw.choice([1, 2.5, True, None, datetime.date(2020, 1, 2), 10**40])
    return text(draw).replace(".", "_")


def value(draw: random.Random, depth: int) -> object:
    kind = draw.random()
    if depth < 3 and kind < 0.15:
        return [value(draw, depth + 1) for _ in range(draw.randint(0, 3))]
    if depth < 3 and kind < 0.35:
        return {key(draw): value(draw, depth + 1) for _ in range(draw.randint(0, 3))}
    if kind < 0.5:
        return draw.choice(
            [
                draw.randint(-(10**45), 10**45),
                draw.randint(-99, 99),
                draw.uniform(-1e3, 1e3),
                draw.choice([1e300, 5e-324, -0.0, math.inf, -math.inf, math.nan]),
                True,
                None,
                datetime.date(2020, 1, 2),
                datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
                draw.randbytes(5),
                {1, "a"},
            ]
        )
    return text(draw)


def text(draw: random.Random) -> str:
    letters = [*" \n\t:#-?,[]{}&*!|>'\"%@`\\ab01.e+_=<~é\x85\ufeff\x00\x1b😀/", "\n ", "  ", " #", ": ", "- ", "\n\n"]
    words = [word for word in WRITTEN if "\n" not in word and len(word) < 30]
    kind = draw.random()
    if kind < 0.4:
        return draw.choice(words)
    if kind < 0.8:
        return "".join(draw.choice(letters) for _ in range(draw.randint(0, 12)))
    return " ".join(draw.choice([*words, "lorem", "ipsum"]) for _ in range(draw.randint(1, 30)))


def a_value_that_the_agent_refuses_a_whole_file_for_costs_one_entry(world: World) -> None:
    for bad, named in REFUSED.items():
        base = f"toolsets:\n  fine: {{config: {{value: 1e3}}}}\n  bad:\n    config:\n      value: {bad}\n"
        try:
            raise AssertionError(f"the agent reads {bad} as {read(base)}")
        except (ValueError, RecursionError):
            pass
        after, notes = output(world, base)
        assert after["toolsets"]["fine"] == {"config": {"value": "1e3"}} and "bad" not in after["toolsets"], after
        assert "BaseInvalid" in notes and '"bad"' in notes and named in notes, f"{bad}: {notes}"


def instances_beside_discovered_ones_keep_their_meaning(world: World) -> None:
    base = """
toolsets:
  grafana/loki:
    enabled: yes
    config:
      verify_ssl: no
      password: 1e3
      username: 0o17
      since: 2020-01-01
      instances: [{name: cloud, api_url: "http://cloud.example", timeout_seconds: 0:30, retries: 1:30}]
"""
    after, notes = output(world, base)
    assert not notes.strip(), notes
    ours, own = after["toolsets"]["grafana/loki"]["config"]["instances"]
    assert set(ours) & {"password", "username", "since"} == set(), ours
    expected = {
        "name": "cloud",
        "api_url": "http://cloud.example",
        "verify_ssl": False,
        "password": "1e3",
        "username": "0o17",
        "since": datetime.date(2020, 1, 1),
        "timeout_seconds": "0:30",
        "retries": 90,
    }
    assert exact(own) == exact(expected), own
