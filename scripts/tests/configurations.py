# SPDX-License-Identifier: GPL-2.0-only
"""The files that the series touches compile in RISC-V configurations, most of which lack one feature.

`make check-configs` runs this file; `make test` does not.
"""

import pytest

from kernel.configs import RISCV
from kernel.objects import compile_touched


@pytest.mark.parametrize("config", RISCV, ids=lambda config: config.name)
def test_compile(report, config):
    compiled, complaints = compile_touched(config, report.out)
    report.check(compiled and not complaints,
                 f"{config.name}: {len(compiled)} source files, no warning that the base has not",
                 "; ".join(complaints[:3]))
    for complaint in complaints:
        report.say(f"        | {complaint}")
