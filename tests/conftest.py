"""What all tests in Python share."""

import collections

import pytest


def pytest_addoption(parser):
    """--of-each-file N: a sample."""
    parser.addoption("--of-each-file", type=int, metavar="N", help="only the first N tests of each file")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Of the tests that were chosen the first of each file; one with many parameters counts once."""
    limit = config.getoption("of_each_file")
    if limit is None:
        return
    functions, chosen, others = collections.defaultdict(set), [], []
    for item in items:
        of_file = functions[item.path]
        is_chosen = item.originalname not in of_file and len(of_file) < limit
        of_file.add(item.originalname)
        (chosen if is_chosen else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = chosen


def pytest_configure(config):
    """FULL marks what only `tests/run full` has time for; of that THREATS what `tests/run threats` runs too, SANITIZED
    what is for the build with sanitizers too. UNSANITIZED is not for that build at all, XDIST_GROUP not for two
    processes at once."""
    config.addinivalue_line("markers", "full: one of many alike, or slow; not in the everyday run")
    config.addinivalue_line("markers", "threats: no everyday test shows this row of the table in a measured boot")
    config.addinivalue_line("markers", "sanitized: in the full run, on the build with sanitizers too")
    config.addinivalue_line("markers", "unsanitized: of what a sanitizer replaces, or a build of its own")
    config.addinivalue_line("markers", "xdist_group: with others of this name in one process, where there are several")
