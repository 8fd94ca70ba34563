"""What all tests in Python share."""


def pytest_configure(config):
    """FULL marks what only `tests/run full` has time for."""
    config.addinivalue_line("markers", "full: one of many alike, or slow; not in the everyday run")
