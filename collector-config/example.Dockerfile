# The example program of compose.yaml, instrumented without a change to it.
FROM python:3.13-slim
COPY pyproject.toml README.md CHANGELOG.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir '/source[otlp,sync]'
COPY examples/gateway.py /gateway.py
CMD ["opentelemetry-instrument", "python", "/gateway.py"]
