# The image of execd. `make image` builds it; deploy/README.md has the commands, one of them without the internet.
#
# A release pins BASE by digest. Tests build on a base of their own.
ARG BASE=python:3.11-slim-bookworm

# ---- build: a virtual environment with what runs live, and nothing that tests it ----
FROM ${BASE} AS build

# The CPU builds of torch. Empty: wherever pip finds torch, which on Linux is the CUDA build (several GB).
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python3 -m venv /opt/execd
COPY constraints.txt pyproject.toml README.md ./
# The packages have a layer of their own, which a change of our code does not touch.
RUN /opt/execd/bin/python -m pip install --no-deps ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} \
        "$(grep '^torch==' constraints.txt)" \
    && /opt/execd/bin/python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], sep='\n')" > dependencies.txt \
    && /opt/execd/bin/python -m pip install --constraint constraints.txt --requirement dependencies.txt \
        "$(grep '^setuptools==' constraints.txt)"
COPY execd ./execd
RUN /opt/execd/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/execd/bin/python -m pip check

# ---- run ----
FROM ${BASE}

LABEL org.opencontainers.image.title="execd" \
      org.opencontainers.image.description="A live execution daemon for crypto exchanges"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates=2023* tini=0.19.* \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 execd \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/execd --shell /usr/sbin/nologin execd \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/execd
COPY --from=build /opt/execd /opt/execd
COPY config /app/config
COPY models /app/models
COPY deploy/container /app/config
# One thread for torch: a proposal is small, and more threads only make the event loop wait for a core.
ENV PATH=/opt/execd/bin:$PATH \
    OMP_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1 \
    EXECD_STATE_DIR=/var/lib/execd
WORKDIR /app
USER 10001:10001
# The journal and the kill latch. All else may be read-only.
VOLUME ["/var/lib/execd"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["execd", "healthcheck"]
ENTRYPOINT ["tini", "--", "execd"]
CMD ["run", "--parent-order", "config/orders/demo.yaml"]
