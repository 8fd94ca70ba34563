"""What all tests in Python share."""


def pytest_configure(config):
    """FULL marks what only `tests/run full` has time for, XDIST_GROUP what must not run in two processes at once, and
    UNSANITIZED what AddressSanitizer makes impossible."""
    config.addinivalue_line("markers", "full: one of many alike, or slow; not in the everyday run")
    config.addinivalue_line("markers", "unsanitized: of what a sanitizer puts its own in the place of")
    config.addinivalue_line("markers", "xdist_group: with others of this name in one process, where there are several")
