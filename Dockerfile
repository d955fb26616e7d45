# syntax=docker/dockerfile:1

FROM python:3.12-slim-bookworm AS build
WORKDIR /source
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
COPY . .
RUN uv build --wheel --out-dir /wheel \
    && uv venv /opt/tmf \
    && uv pip install --python /opt/tmf/bin/python --no-cache --compile-bytecode \
       --constraints requirements.lock --verify-hashes /wheel/*.whl


FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="tmf-apis" \
      org.opencontainers.image.description="TM Forum Open APIs over MongoDB" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 tmf \
    && useradd --uid 10001 --gid tmf --no-create-home --home-dir /var/lib/tmf \
       --shell /usr/sbin/nologin tmf \
    && install --directory --owner=tmf --group=tmf --mode=0700 /var/lib/tmf
COPY --from=build /opt/tmf /opt/tmf
ENV PATH=/opt/tmf/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TMF_AUTH=on \
    TMF_DATA_DIR=/var/lib/tmf
USER 10001:10001
WORKDIR /var/lib/tmf
VOLUME /var/lib/tmf
EXPOSE 8620
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as u; tls = os.environ.get('TMF_TLS_CERT'); u.urlopen(f'http{\"s\" if tls else \"\"}://127.0.0.1:8620/health/live', timeout=4, context=ssl._create_unverified_context() if tls else None)"]
# The image has no embedded servers: set TMF_MONGODB_URI and TMF_TEMPORAL_ADDRESS.
ENTRYPOINT ["tmf"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8620"]
