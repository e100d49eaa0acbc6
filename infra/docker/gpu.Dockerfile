# A node with NVIDIA GPUs: `docker build -f infra/docker/gpu.Dockerfile -t ace-vllm:gpu .` from the root of the project.
# The host needs a driver for CUDA 13 and the NVIDIA container toolkit.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04

ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_worker_niceness=0

# The compiler and Python's headers are for kernels that vLLM compiles when it starts.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ procps python3-dev python3-venv rsync wget \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/ace
COPY pyproject.toml LICENSE README.md ./
COPY src src
# The versions of vLLM that fit are named in pyproject.toml.
# hadolint ignore=DL3013
RUN pip install '.[vllm,ray,openai,data]' && useradd --create-home --uid 1001 ace
USER 1001
WORKDIR /home/ace
CMD ["ace", "doctor"]
