"""What the deployment files promise: least privilege, nothing published that need not be, nothing unpinned."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GPU = yaml.safe_load((ROOT / "compose.gpu.yml").read_text())
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = sorted(SERVICES.keys() - {"migrate", "demo-model"})
COMPOSE_VERSION = ("docker", "compose", "version")
ROLES = {"control": "control", "compute": "compute", "trainer": "train", "query": "query"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_least_privilege(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert not any("docker.sock" in mount for mount in service["volumes"])


def test_every_container_has_a_user_other_than_root() -> None:
    final_stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[-2:]
    assert [stage.split("\n")[0] for stage in final_stages] == ["base AS worker", "base AS api"]
    assert all(re.findall(r"^USER (.+)$", stage, re.MULTILINE) == ["10001:10001"] for stage in final_stages)
    for service in SERVICES.values():
        user = service.get("user", "of the image" if "build" in service else "0")
        assert not re.match(r"(0|root)\b", user)


def test_only_the_api_and_the_dashboard_are_published_and_on_loopback_unless_told_otherwise() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "api": ["${PUBLISH_ADDRESS:-127.0.0.1}:${PUBLISH_PORT:-8000}:8000"],
        "grafana": ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"],
    }
    assert not any("ports" in service for service in GPU["services"].values())
    assert not any("network_mode" in service for service in SERVICES.values())
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert COMPOSE["networks"]["database"]["internal"] is True


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_restarted_watched_and_stopped_in_time(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert service["healthcheck"]["test"][0] == "CMD"
    assert int(service["stop_grace_period"].removesuffix("s")) > Settings.model_fields["drain_s"].default + 2


@pytest.mark.parametrize(("name", "role"), ROLES.items())
def test_a_worker_is_asked_for_its_own_health(name: str, role: str) -> None:
    service = SERVICES[name]
    assert service["command"][:4] == ["radius", "worker", "--role", role]
    assert service["healthcheck"]["test"] == ["CMD", "radius", "health", "--role", role]


@pytest.mark.parametrize("name", ["api", *ROLES])
def test_nothing_starts_before_the_database_is_migrated(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"


def test_models_and_corpora_are_read_only() -> None:
    for name, service in SERVICES.items():
        for mount in service["volumes"]:
            if ":/corpora" in mount or (":/models" in mount and name != "demo-model"):
                assert mount.endswith(":ro")


def test_secrets_are_files() -> None:
    files = {name: f"${{SECRETS_FOLDER:-./secrets}}/{name}" for name in ("database_password", "metrics_key")}
    assert COMPOSE["secrets"] == {name: {"file": file} for name, file in files.items()}
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|KEY|SECRET|TOKEN$", name):
                assert name.endswith("_FILE")
            assert not re.search(r"://[^/@]*:[^/@]+@", str(value))


@pytest.mark.parametrize("name", ["api", "migrate", *ROLES])
def test_every_setting_reaches_every_process(name: str) -> None:
    """From `.env`; what compose gives itself has the same value in every image."""
    assert SERVICES[name]["env_file"] == [{"path": "${SETTINGS_FILE:-.env}", "required": False}]
    folders = {name: value for name, value in SERVICES[name]["environment"].items() if name.endswith("_DIR")}
    assert folders == dict(re.findall(r"(RADIUS_[A-Z]+_DIR)=(\S+)", DOCKERFILE))


def test_git_does_not_see_secrets() -> None:
    assert {"/secrets/", "/.env"} <= set((ROOT / ".gitignore").read_text().split())


@pytest.mark.parametrize(
    "path", ["docker-compose.yml", "compose.gpu.yml", ".env.example", "docker/Dockerfile", "docker/smoke.sh"]
)
def test_every_variable_is_a_setting(path: str) -> None:
    named = {name.lower() for name in re.findall(r"\bRADIUS_([A-Z_]+)", (ROOT / path).read_text())}
    assert named <= Settings.model_fields.keys()


def test_base_images_are_pinned() -> None:
    images = [
        *re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE),
        *(service["image"] for service in SERVICES.values() if "build" not in service),
    ]
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    assert all(re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z-]+)?", image) for image in set(images) - stages)
    installs = re.findall(r"pip --python \S+ install[^&\n]*", DOCKERFILE.replace("\\\n", " "))
    assert len(installs) == 4
    assert all("--constraint constraints.txt" in line or "--no-deps" in line for line in installs)


def test_the_builder_sees_what_is_named_only() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!pyproject.toml", "!constraints.txt", "!README.md", "!LICENSE", "!service", "!workers",
    }  # fmt: skip


def gpu_of(name: str) -> dict[str, Any]:
    (device,) = GPU["services"][name]["deploy"]["resources"]["reservations"]["devices"]
    return device


def test_one_container_has_a_worker_on_each_of_any_number_of_gpus() -> None:
    """Its memory has no default, because it grows with their number."""
    compute = GPU["services"]["compute"]
    assert compute["command"] == ["radius", "worker", "--role", "compute", "--devices", "all"]
    assert gpu_of("compute") == {"driver": "nvidia", "count": "${GPUS:-all}", "capabilities": ["gpu"]}
    assert compute["mem_limit"].startswith("${COMPUTE_MEMORY:?")
    assert compute["pids_limit"] >= 8 * SERVICES["compute"]["pids_limit"]


def test_a_trainer_has_one_gpu_of_its_own_and_starts_on_demand() -> None:
    trainer = GPU["services"]["trainer"]
    assert trainer["profiles"] == ["gpu-trainer"]
    assert trainer["command"] == ["radius", "worker", "--role", "train", "--device", "cuda:0"]
    assert gpu_of("trainer") == {"driver": "nvidia", "device_ids": ["${GPU_TRAIN:-1}"], "capabilities": ["gpu"]}


def test_with_gpus_no_service_is_added_and_both_use_the_image_for_them() -> None:
    assert GPU["services"].keys() == {"compute", "trainer"} <= SERVICES.keys()
    assert {service["build"]["args"]["EXTRA"] for service in GPU["services"].values()} == {"gpu"}
    assert {service["image"] for service in GPU["services"].values()} == {"radius-worker-gpu:${IMAGE_TAG:-latest}"}


def test_compose_reserves_as_many_gpus_as_are_named() -> None:
    if shutil.which("docker") is None or subprocess.run(COMPOSE_VERSION, capture_output=True, check=False).returncode:
        pytest.skip("no `docker compose` here")
    for number in (None, 1, 2, 8):
        check_gpus(number)


def check_gpus(number: int | None) -> None:
    """The device reservation of compute workers on that many GPUs, as compose reads it."""
    given = {"COMPUTE_MEMORY": f"{12 * (number or 1)}g", "GPUS": "" if number is None else str(number)}
    files = ["-f", "docker-compose.yml", "-f", "compose.gpu.yml", "--env-file", "/dev/null"]
    command = ["docker", "compose", *files, "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, check=True)
    compute = json.loads(done.stdout)["services"]["compute"]
    (device,) = compute["deploy"]["resources"]["reservations"]["devices"]
    assert (device["count"], "device_ids" in device) == (number or -1, False)
    assert int(compute["mem_limit"]) == 12 * (number or 1) * 2**30


def test_the_services_of_observability_start_on_demand_and_read_their_configuration_only() -> None:
    for name in ("prometheus", "grafana"):
        service = SERVICES[name]
        assert service["profiles"] == ["observability"]
        assert service["networks"] == ["default"]
        mounts = [mount for mount in service["volumes"] if mount.startswith("./docker/")]
        assert mounts
        for mount in mounts:
            source, _, mode = mount.split(":")
            assert (ROOT / source).exists()
            assert mode == "ro"


def test_prometheus_scrapes_the_api_under_a_name_that_it_answers_to() -> None:
    (job,) = yaml.safe_load((ROOT / "docker" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["static_configs"] == [{"targets": ["api:8000"]}]
    assert SERVICES["api"]["environment"]["RADIUS_ALLOWED_HOSTS"].endswith(",api")
    assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    assert SERVICES["prometheus"]["secrets"] == ["metrics_key"]


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    dashboard = json.loads((ROOT / "docker" / "grafana" / "dashboards" / "radius.json").read_text())
    source = " ".join(path.read_text() for path in (ROOT / "service" / "metrics").glob("*.py"))
    known = set(re.findall(r'"(radius_[a-z_]+)"', source))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expression in asked for name in re.findall(r"radius_[a-z_]+", expression)}
    assert len(dashboard["panels"]) >= 15
    assert {re.sub("_(bucket|total)$", "", name) for name in named} <= known
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
