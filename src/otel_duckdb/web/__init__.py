"""An HTTP server that stays small whatever the other side does: for the Prometheus endpoint and `otel-duckdb demo`.

It has one thread and no thread a connection, because a stranger may open many; and no event loop of asyncio, which
frameworks take for their own when gevent has made that thread a part of the main one.
"""
