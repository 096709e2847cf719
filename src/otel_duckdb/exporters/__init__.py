"""Ways out of the process that the OpenTelemetry SDK does not bring."""
