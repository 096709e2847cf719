# The example program of compose.yaml, instrumented without a change to it; it runs as nobody.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
COPY pyproject.toml README.md CHANGELOG.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir '/source[otlp,sync]' && rm -rf /source
COPY examples/gateway.py /gateway.py
USER 65534:65534
WORKDIR /tmp
CMD ["opentelemetry-instrument", "python", "/gateway.py"]
