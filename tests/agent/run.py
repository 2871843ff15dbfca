"""Runs the tests with the real agent, which loads the files of the operator.

    python3 -m venv V && V/bin/pip install holmesgpt==VERSION
    V/bin/python run.py --kubectl-toolset target/debug/kubectl-toolset [PART OF A NAME]...

The exit code is 1 if a case fails. If a program that a case needs is missing, the case is skipped. If CI is set, a skipped case is a
failure.
"""

import argparse
import concurrent.futures
import dataclasses
import importlib
import inspect
import json
import os
import pathlib
import sys
import time
import traceback

from backends import Backends
from cluster import Operator
from matrix import contract
from world import VERSION, Agents, Skipped, World

PARALLEL = 2


def cases(parts: list, names: set | None) -> list:
    """The cases whose names contain one of `parts`, as pairs of name and function. `names` restricts them."""
    found = []
    for file in sorted(pathlib.Path(__file__).parent.glob("cases/[a-z]*.py")):
        module = importlib.import_module(f"cases.{file.stem}")
        for name, function in vars(module).items():
            full = f"{file.stem}.{name}"
            asked_for = (names is None or full in names) and (not parts or any(part in full for part in parts))
            if (
                inspect.isfunction(function)
                and function.__module__ == module.__name__
                and is_case(function)
                and asked_for
            ):
                found.append((full, function))
    missing = (names or set()) - {name for name, _ in found}
    assert parts or not missing, f"matrix.py names cases that do not exist: {missing}"
    return found


def is_case(function: object) -> bool:
    """A case has the argument `world` and returns None."""
    signature = inspect.signature(function)
    return list(signature.parameters) == ["world"] and signature.return_annotation is None


@dataclasses.dataclass
class Result:
    name: str
    outcome: str
    details: str
    report: list
    limits: list
    took: float


def run(case: tuple, operator: Operator, agents: Agents) -> Result:
    name, function = case
    started = time.monotonic()
    with Backends() as backends:
        world = World(operator, agents, backends)
        try:
            function(world)
            outcome, details = "ok", ""
        except Skipped as reason:
            outcome, details = "skipped", str(reason)
        except Exception:
            outcome, details = "FAILED", traceback.format_exc()
    return Result(name, outcome, details, world.report, world.limits, time.monotonic() - started)


def show(result: Result) -> None:
    print(f"\n{result.outcome:7} {result.name.replace('.', ': ').replace('_', ' ')} ({result.took:.1f} s)")
    for entry, status, unknown, instances in result.report:
        answering = [instance for instance, why in instances.items() if why is None]
        words = [f"{len(answering)} of {len(instances)} instances answer"] if len(instances) > 1 else []
        words += [f"keys unknown to the agent: {', '.join(unknown)}"] if unknown else []
        print(f"          {entry:50} {status:9} {'; '.join(words)}".rstrip())
    if result.details:
        print("          " + result.details.strip().replace("\n", "\n          "))
    sys.stdout.flush()


def write(results: list, file: pathlib.Path) -> None:
    outcomes = {one.name: {"outcome": one.outcome, "limits": one.limits} for one in results}
    file.write_text(json.dumps({"version": ".".join(map(str, VERSION)), "cases": outcomes}), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubectl-toolset", required=True, help="the program under test")
    parser.add_argument("--contract", action="store_true", help="run only the cases of matrix.py")
    parser.add_argument("--results", type=pathlib.Path, help="write the outcomes to this file")
    parser.add_argument("parts", nargs="*", help="run only cases whose names contain one of these")
    arguments = parser.parse_args()
    operator = Operator(arguments.kubectl_toolset)
    names = contract() if arguments.contract else None
    results = []
    with Agents(PARALLEL) as agents, concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        futures = [pool.submit(run, case, operator, agents) for case in cases(arguments.parts, names)]
        for future in futures:
            result = future.result()
            show(result)
            results.append(result)
    if arguments.results:
        write(results, arguments.results)
    outcomes = [result.outcome for result in results]
    ci = os.environ.get("CI", "") not in ("", "false")
    failed = outcomes.count("FAILED") + (outcomes.count("skipped") if ci else 0)
    print(f"\nHolmesGPT {'.'.join(map(str, VERSION))}: {outcomes.count('ok')} passed, {outcomes.count('FAILED')} failed, {outcomes.count('skipped')} skipped")
    # As in libtest, it is not a failure if no case has the given parts in its name.
    return 1 if failed or not (outcomes or arguments.parts) else 0


if __name__ == "__main__":
    sys.exit(main())
