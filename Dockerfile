# The service in a container: non-root, CPU, and content with a file system that it cannot write to but for /tmp.
#
#   docker build -t cgrseg .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8080:8080 cgrseg
#   docker run ... -v "$PWD/runs:/weights:ro" cgrseg /weights/mine/best.safetensors --token-file /run/secrets/token
#
# --build-arg EXTRAS=serve,openvino adds the engine OpenVINO, which is faster on a CPU; networks are then prepared once,
# in about a minute, and kept in $CGRSEG_CACHE: mount a volume there to keep them for the next container.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=serve
# PyTorch without CUDA, a tenth of the size; empty it to take what PyPI has.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY constraints-cpu.txt ./
RUN python -m venv --without-pip /opt/cgrseg
RUN pip --python /opt/cgrseg/bin/python install --constraint constraints-cpu.txt torch
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN pip --python /opt/cgrseg/bin/python install --constraint constraints-cpu.txt ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/cgrseg /opt/cgrseg
ENV PATH=/opt/cgrseg/bin:$PATH \
    HOME=/tmp \
    CGRSEG_CACHE=/tmp/cgrseg \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('GET', '/v2/health/live'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["cgrseg", "serve", "--host", "0.0.0.0", "--port", "8080"]
CMD ["cgrseg-lite-everyday"]
