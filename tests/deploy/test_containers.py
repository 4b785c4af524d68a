"""The image and compose: what runs is ours alone, unprivileged, and reachable from this host only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from execd.runtime.settings import Mode, Settings, load
from tests.deploy.checkout import DEPLOY, ROOT, read_yaml, succeeds, tool

Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """The Dockerfile as (keyword, rest), comments and line breaks taken out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parted = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(keyword, rest.strip()) for keyword, _, rest in parted]


def final_stage() -> list[Instruction]:
    """The instructions of the stage that becomes the image."""
    found = instructions()
    last = max(i for i, (keyword, _) in enumerate(found) if keyword == "FROM")
    return found[last:]


def only(keyword: str) -> str:
    """The one instruction of a kind in the final stage."""
    (rest,) = [rest for word, rest in final_stage() if word == keyword]
    return rest


def services() -> dict[str, Any]:
    """The services of compose."""
    found = read_yaml(DEPLOY / "compose.yaml")["services"]
    assert isinstance(found, dict)
    return found


def test_hadolint_has_nothing_to_say() -> None:
    succeeds(tool("hadolint"), "Dockerfile")


def test_the_image_runs_the_demo_as_nobody_in_particular_under_an_init_that_passes_signals_on() -> None:
    assert only("USER") == "10001:10001"
    assert json.loads(only("ENTRYPOINT")) == ["tini", "--", "execd"]
    assert json.loads(only("CMD")) == ["run", "--parent-order", "config/orders/demo.yaml"]
    assert only("STOPSIGNAL") == "SIGTERM"
    assert only("HEALTHCHECK").endswith('CMD ["execd", "healthcheck"]')


def test_the_state_lies_on_a_volume_and_torch_has_one_thread() -> None:
    assert json.loads(only("VOLUME")) == ["/var/lib/execd"]
    assert "EXECD_STATE_DIR=/var/lib/execd" in only("ENV")
    assert "OMP_NUM_THREADS=1" in only("ENV")


def test_the_base_can_be_swapped_and_is_never_the_latest() -> None:
    (base,) = [rest for keyword, rest in instructions() if keyword == "ARG" and rest.startswith("BASE=")]
    assert re.fullmatch(r"BASE=python:3\.11[\w.-]*", base)
    assert {rest.split()[0] for keyword, rest in instructions() if keyword == "FROM"} == {"${BASE}"}


def test_the_builder_is_given_what_it_copies_and_nothing_else() -> None:
    copied = [rest.split()[:-1] for keyword, rest in instructions() if keyword == "COPY" and "--from" not in rest]
    wanted = {Path(name).as_posix() for names in copied for name in names}
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == wanted
    assert all((ROOT / name).exists() for name in wanted)


def test_in_the_image_the_metrics_can_be_reached_from_outside_of_it_at_the_port_that_compose_publishes() -> None:
    inside = load(DEPLOY / "container" / "execd.yaml", Settings)
    assert inside.metrics.host == "0.0.0.0"
    assert services()["execd"]["ports"] == [f"127.0.0.1:{inside.metrics.port}:{inside.metrics.port}"]
    assert inside.mode is Mode.PRACTICE


def test_docker_compose_accepts_the_file() -> None:
    succeeds(tool("docker-compose"), "--file", str(DEPLOY / "compose.yaml"), "config", "--quiet")


@pytest.mark.parametrize("name", services())
def test_each_service_is_pinned_watched_and_heard_on_this_host_only(name: str) -> None:
    service = services()[name]
    image = re.sub(r"\$\{\w+:-(.+)\}", r"\1", service["image"])
    assert re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", image)
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["ports"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.parametrize("name", services())
def test_each_file_that_is_mounted_is_there_and_each_volume_is_declared(name: str) -> None:
    declared = read_yaml(DEPLOY / "compose.yaml")["volumes"]
    for mount in services()[name]["volumes"]:
        source, _, rest = mount.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists()
            assert rest.endswith(":ro")
        else:
            assert source in declared


@pytest.mark.parametrize("name", ["execd", "execd-watchdog"])
def test_execd_may_write_its_state_and_nothing_else(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [mount.partition(":")[2] for mount in service["volumes"]] == json.loads(only("VOLUME"))


def test_prometheus_scrapes_the_ports_that_execd_and_its_watchdog_listen_on() -> None:
    inside = load(DEPLOY / "container" / "execd.yaml", Settings)
    listening = {"execd": inside.metrics.port, "execd-watchdog": inside.watchdog.port}
    jobs = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]
    assert {job["job_name"]: job["static_configs"] for job in jobs} == {
        name: [{"targets": [f"{name}:{port}"]}] for name, port in listening.items()
    }
    for name, port in listening.items():
        assert f"127.0.0.1:{port}:{port}" in services()[name]["ports"]


def test_the_watchdog_does_not_fall_with_the_daemon() -> None:
    """It shares the state folder and nothing else: no network, no order of starting, no limit of restarts."""
    service = services()["execd-watchdog"]
    assert service["restart"] == "unless-stopped"
    assert not service.keys() & {"depends_on", "network_mode", "pid", "volumes_from", "links"}
