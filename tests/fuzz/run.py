#!/usr/bin/env python3
"""Looks for inputs that break the fuzz targets.

    run.py BUILD RESULTS

BUILD has the targets (-Dfuzz=true). Each runs BOOTSEAL_FUZZ_SECONDS (60), two at a time; BOOTSEAL_FUZZ_TARGETS, names
with blanks between, chooses among them. It starts from the seeds, from what was found before (tests/fuzz/found), and
from what earlier runs on this BUILD came by (BUILD/corpus). A line for each target tells how many inputs it ran and
how far it came: edges of the control flow and functions, of those that are linked into the target.

What breaks one is kept in BUILD/findings; once it is mended it belongs into tests/fuzz/found/TARGET. RESULTS becomes a
JUnit file with a case for each target: one that found something, or did not run, has failed.
"""

import concurrent.futures
import dataclasses
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
AT_ONCE = 2
START_S = 120  # to go through the inputs that are known
INPUT_TIMEOUT_S = 25  # one input; under sanitizers, on a busy machine
MEMORY_MIB = 2560  # a keyslot may want 1 GiB
INPUT_MAX_BYTES = 128 * 1024

# AddressSanitizer's own threads are none of ours; what is allocated in one go has an end.
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:allocator_may_return_null=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSS2_LOG": "all+none",
}


@dataclasses.dataclass
class Outcome:
    """How one target did."""

    target: str
    fault: str = ""  # empty: it ran its time and found nothing
    inputs: int = 0
    edges: int = 0
    all_edges: int = 0
    functions: int = 0
    all_functions: int = 0
    seconds: float = 0

    def line(self) -> str:
        """For people."""
        word = f"FAILED: {self.fault}" if self.fault else "nothing found"
        return (f"fuzz {self.target:14} {self.inputs:9} inputs  {self.edges:5} of {self.all_edges} edges  "
                f"{self.functions:4} of {self.all_functions} functions  {self.seconds:4.0f} s  {word}")


def last_number(pattern: str, log: str) -> int:
    """The last number that the pattern has in the log; 0 without."""
    numbers = re.findall(pattern, log)
    return int(numbers[-1]) if numbers else 0


def arguments(build: Path, target: str, seconds: int) -> list:
    """The command line of one target."""
    corpus, findings = build / "corpus" / target, build / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    known = [folder for folder in (build / "tests/fuzz/seeds" / target, HERE / "found" / target) if folder.is_dir()]
    dictionary = HERE / "dictionaries" / f"{target}.dict"
    options = [f"-dict={dictionary}"] if dictionary.exists() else []
    return [str(build / "tests/fuzz" / f"fuzz-{target}"), f"-max_total_time={seconds}", f"-timeout={INPUT_TIMEOUT_S}",
            f"-rss_limit_mb={MEMORY_MIB}", f"-max_len={INPUT_MAX_BYTES}", f"-artifact_prefix={findings}/{target}-",
            "-print_final_stats=1", "-print_coverage=1", "-reload=0", *options, str(corpus), *map(str, known)]


def fuzz(build: Path, target: str, seconds: int) -> Outcome:
    """Run one target."""
    outcome = Outcome(target)
    log_path = build / "findings" / f"{target}.log"
    argv = arguments(build, target, seconds)
    scratch = {"TMPDIR": "/dev/shm"} if os.access("/dev/shm", os.W_OK) else {}
    start = time.monotonic()
    with open(log_path, "wb") as log:
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
                                  env={**os.environ, **ENVIRONMENT, **scratch},
                                  timeout=seconds + START_S + INPUT_TIMEOUT_S)
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = None
    text = log_path.read_text(encoding="utf-8", errors="replace")
    outcome.seconds = time.monotonic() - start
    outcome.inputs = last_number(r"stat::number_of_executed_units: (\d+)", text)
    outcome.edges = last_number(r"\bcov: (\d+)", text)
    outcome.all_edges = last_number(r"INFO: Loaded 1 modules\s+\((\d+) inline", text)
    outcome.functions = len(re.findall(r"^COVERED_FUNC:", text, re.MULTILINE))
    outcome.all_functions = outcome.functions + len(re.findall(r"^UNCOVERED_FUNC:", text, re.MULTILINE))
    finding = re.search(r"Test unit written to (\S+)", text)
    if status is None:
        outcome.fault = f"it did not end; see {log_path}"
    elif status != 0:
        outcome.fault = f"see {log_path}" + (f"; the input is {finding.group(1)}" if finding else "")
    elif outcome.inputs == 0 or outcome.edges == 0:
        outcome.fault = f"it did nothing; see {log_path}"
    return outcome


def write_results(path: Path, outcomes) -> None:
    """A JUnit file."""
    suite = ElementTree.Element("testsuite", name="fuzz")
    for outcome in outcomes:
        case = ElementTree.SubElement(suite, "testcase", classname="fuzz", name=outcome.target)
        if outcome.fault:
            ElementTree.SubElement(case, "failure", message=outcome.fault)
    ElementTree.ElementTree(suite).write(path)


def chosen_targets() -> list:
    """The names of the targets: fuzz-NAME.c."""
    every = sorted(path.stem.removeprefix("fuzz-") for path in HERE.glob("fuzz-*.c"))
    chosen = os.environ.get("BOOTSEAL_FUZZ_TARGETS", "").split() or every
    unknown = set(chosen) - set(every)
    if unknown:
        raise SystemExit(f"there is no fuzz target {', '.join(sorted(unknown))}; there are: {', '.join(every)}")
    return chosen


def main() -> int:
    """Run them all; the exit status is 1 when one failed."""
    build, results = map(Path, sys.argv[1:])
    seconds = int(os.environ.get("BOOTSEAL_FUZZ_SECONDS", "60"))
    (build / "findings").mkdir(exist_ok=True)
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(fuzz, build, target, seconds) for target in chosen_targets()]
        for future in concurrent.futures.as_completed(running):
            outcomes.append(future.result())
            print(outcomes[-1].line(), flush=True)
    write_results(results, outcomes)
    return any(outcome.fault for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
