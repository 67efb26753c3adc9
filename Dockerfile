# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/douane
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN /opt/douane/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY app app
COPY connectors connectors
COPY policies policies
RUN /opt/douane/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim
RUN groupadd --system --gid 10001 douane \
    && useradd --system --uid 10001 --gid douane --home-dir /var/lib/douane --create-home --shell /usr/sbin/nologin douane
COPY --from=build /opt/douane /opt/douane
ENV PATH=/opt/douane/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DOUANE_CONFIG=/etc/douane/douane.yaml \
    DOUANE_SERVER__HOST=0.0.0.0
USER douane
WORKDIR /var/lib/douane
VOLUME /var/lib/douane
EXPOSE 8080
# Answers at the door without a token and without a database; readiness is /readyz, for the orchestrator.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/healthz' % os.environ.get('DOUANE_SERVER__PORT', '8080'), timeout=2)"]
ENTRYPOINT ["douane"]
CMD ["serve"]
