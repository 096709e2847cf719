"""An HTTP server that stays small whatever the other side does: for the Prometheus endpoint, the monitor and the demo.

It has one thread and no thread a connection or a stream, because a stranger may open many; and no event loop of
asyncio, which frameworks take for their own when gevent has made that thread a part of the main one. Answers that take
long are made in a few threads beside it.
"""
