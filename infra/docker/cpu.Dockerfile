# A node without GPUs: `docker build -f infra/docker/cpu.Dockerfile -t ace-vllm:cpu .` from the root of the project.
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_worker_niceness=0

# libnuma and libgomp are vLLM's on a CPU; procps and rsync are Ray's cluster launcher's; wget is KubeRay's probe.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 libnuma1 procps rsync wget \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/ace
COPY pyproject.toml LICENSE README.md ./
COPY constraints constraints
COPY scripts scripts
COPY src src
# The script installs into the environment that it is given, with the pinned versions and without torchvision.
RUN python scripts/environment.py /opt/venv cpu ray openai data

ENV PATH=/opt/venv/bin:$PATH
RUN useradd --create-home --uid 1000 ace
USER 1000
WORKDIR /home/ace
CMD ["ace", "doctor"]
