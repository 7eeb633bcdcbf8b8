"""The machine on which a measurement runs: what it is like, and which of its settings must not count."""

from __future__ import annotations

import os
import platform
import sysconfig
import time
from importlib.metadata import version
from pathlib import Path

import confluent_kafka

from simulation.broker.artifacts import kafka_version

LIBRARIES = ("confluent-kafka", "msgspec", "rocksdict", "cryptography", "jsonschema-rs", "cel-expr-python")


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on; the load average shows whether other programs were running."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": f"{platform.python_version()} ({_python_build()})",
        "kafka": f"{kafka_version()}, one broker on the same machine",
        "librdkafka": confluent_kafka.libversion()[0],
        **{name: version(name) for name in LIBRARIES},
    }


def forget_settings() -> None:
    """Remove the settings of a deployment on this machine from the environment: they are not what is measured."""
    for name in [name for name in os.environ if name.startswith("STOPLOG_") and name != "STOPLOG_KAFKA_HOME"]:
        del os.environ[name]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _python_build() -> str:
    """Return how this Python was built: without profile-guided optimisation, it is a tenth slower."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return "optimised build" if "--enable-optimizations" in arguments else "build without profile-guided optimisation"
