"""The agent reads unusual names and texts as the operator wrote them."""

import random

import yaml

from cluster import annotated, product, service, toolset_config
from world import World

SEED = 20261120
ROUNDS, PER_ROUND = 6, 60

AWKWARD = [
    "yes",
    "No",
    "on",
    "null",
    "~",
    "1",
    "1_000",
    "0o17",
    "017",
    "0x1F",
    "1e3",
    ".inf",
    ".nan",
    "12:30:45",
    "2026-11-20",
    "=",
    "<<",
    "- a",
    "? a",
    "a: b",
    "a #b",
    "#",
    "!tag",
    "&anchor",
    "*alias",
    "|",
    ">",
    "%",
    "@",
    "'",
    '"',
    "\\",
    "\\n",
    "{",
    "}",
    "[",
    "]",
    "{x}",
    " leading",
    "trailing ",
    "  ",
    "{ {",
    "$5",
    "$ {",
    "größe",
    "日本語",
    "😀",
    "\u00a0",
    "\u0378",
    "\ufffd",
    "\U0010ffff",
    "a\u0300",
    "---",
    "...",
    "x" * 256,
]
AWKWARD_LINES = [
    "a\nb",
    "a\n\nb\n",
    "\n",
    "\na",
    "a\n  b\n c",
    "a\tb",
    "\ta",
    "a \nb",
    "- a\n- b",
    "a: b\nc: d",
    "|\n  a",
    "# a\n",
    "a\n---\nb",
    "x" * 4096,
]

# A text must not contain these characters. The schema and the operator reject it.
REFUSED = ["{{", "{%", "${", "$(", "`"]
INVISIBLE = [
    *range(0x00, 0x20),
    *range(0x7F, 0xA0),
    0x00AD,
    0x034F,
    0x061C,
    *range(0x115F, 0x1161),
    *range(0x17B4, 0x17B6),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0x3164,
    0xFEFF,
    0xFFA0,
    *range(0xFFF0, 0xFFFC),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000),
]


def a_text(chance: random.Random, longest: int, lines: bool) -> str:
    """A random valid text. Most of its characters have a meaning in YAML."""
    alphabet = ":#-?!|>%@'\"\\{}[],&*=~. aZ0_" + ("\n\t" if lines else "")
    while True:
        text = "".join(
            chance.choice(alphabet)
            if chance.random() < 0.7
            else chr(chance.choice([chance.randrange(0xA0, 0xD800), chance.randrange(0xE000, 0x110000)]))
            for _ in range(chance.randrange(1, longest))
        )
        if not any(part in text for part in REFUSED) and not any(
            ord(char) in INVISIBLE and char not in "\n\t" for char in text
        ):
            return text


def the_agents_yaml_reader_reads_texts_as_they_were_written(world: World) -> None:
    chance = random.Random(SEED)
    pairs = [(line, "x") for line in AWKWARD] + [("x", text) for text in AWKWARD_LINES]
    pairs += [(a_text(chance, 40, False), a_text(chance, 200, True)) for _ in range(ROUNDS * PER_ROUND - len(pairs))]
    for start in range(0, len(pairs), PER_ROUND):
        some = pairs[start : start + PER_ROUND]
        tools = [
            {
                "name": f"t{index}",
                "type": "Custom",
                "customType": "thing",
                "endpoint": f"http://h{index}.example/",
                "description": line,
                "instructions": text,
            }
            for index, (line, text) in enumerate(some)
        ]
        objects = [service("a", "unrelated", 80), toolset_config(tools=tools)]
        file, notes = world.operator.file(objects)
        assert not notes.strip(), notes
        read = yaml.safe_load(file)["toolsets"]
        for index, (line, text) in enumerate(some):
            entry = read[f"t{index}"]
            assert entry["description"] == line, f"{line!r} became {entry['description']!r}"
            assert entry["llm_instructions"] == f"Base URL: http://h{index}.example:80\n{text}", (
                f"{text!r} became {entry['llm_instructions']!r}"
            )
        if start == 0:
            loaded = world.load(objects).all_enabled()
            world.report.clear()
            for index, (line, text) in enumerate(some):
                # The agent ignores a text that has only spaces.
                assert loaded.entry(f"t{index}")["description"] == line or not line.strip()
                assert loaded.entry(f"t{index}")["instructions"].endswith(text)
    world.says(f"{len(pairs)} pairs of texts, seed {SEED}")


def awkward_names_give_distinct_tools_of_at_most_64_characters(world: World) -> None:
    long_namespace, long_name = "n" * 63, "s" * 63
    places = [
        (long_namespace, long_name),
        (long_namespace, long_name[:-1] + "t"),
        ("a-b", "c"),
        ("a", "b-c"),
        ("123", "x"),
        ("1e3", "x"),
        ("0x1f", "x"),
        ("null", "yes"),
        ("true", "on"),
        ("a", "no"),
        ("12-30-45", "y"),
        ("kubernetes", "core"),
        ("http", "request"),
    ]
    services = [annotated("Jaeger", namespace, name) for namespace, name in places]
    services += [annotated("Prometheus", namespace, name) for namespace, name in [("1e3", "on"), ("null", "no")]]
    services += [
        annotated("thing", "a", "one", name="my-traces"),
        annotated("thing", "b", "two", name="my_traces"),
        annotated("thing", "c", "three", name="bash"),
        annotated("thing", "d", "four", name="kubernetes-core"),
        annotated("thing", "e", "five", name="1e3"),
        annotated("thing", "f", "six", name="null"),
        annotated("thing", "g", "seven", name="y"),
    ]
    port = world.backends.plain
    servers = [annotated("MCP", "a--b", "x", port, path="/mcp"), annotated("MCP", "a-b", "x", port, path="/mcp")]
    loaded = world.load([*services, *servers, product("Zipkin"), toolset_config()]).all_instances_answer()
    # Both servers have a tool of the same name, so the agent prepends the name of the entry.
    namespaced = [tool for tool in loaded.answer["tools"] if tool.endswith("__whatever")]
    assert len(namespaced) == 2 and all(len(tool) <= 64 for tool in namespaced), namespaced
    own = [name for name, entry in loaded.entries.items() if entry["type"] == "http"]
    assert len(own) == len(places) + 7 + 1, sorted(loaded.entries)
    assert all(isinstance(name, str) and len(name) <= 48 for name in loaded.toolsets), sorted(loaded.entries)
    derived = [tool for name in own for tool in loaded.entry(name)["tools"]]
    assert len(set(derived)) == len(own), derived
    assert set(loaded.entry("prometheus/metrics")["instances"]) == {"1e3/on", "null/no"}
    assert {"1e3", "null", "y"} <= set(own) and not {"bash", "kubernetes-core"} & set(own), own
