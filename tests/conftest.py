"""What all tests share: properties have no deadline, however busy the machine is; some tests say at the end what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

settings.register_profile("jolaqy", deadline=None)
settings.load_profile("jolaqy")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "said at the end" and report.when == "call":
                    terminalreporter.write_line(str(value))
