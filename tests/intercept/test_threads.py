"""Operations of many threads, and of asyncio's, keep apart and have their own caller's span as parent."""

from __future__ import annotations

import asyncio
import threading


class TestThreads:
    def test_each_with_a_cursor_of_its_own_keep_apart(self, heard, connection):
        def work(number):
            cursor = connection.cursor()
            with heard.tracer().start_as_current_span(f"thread {number}"):
                for _ in range(20):
                    cursor.execute(f"select i as c{number} from range(100) r(i)").fetchall()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(heard.spans()) == 80
        assert {span.attributes["db.response.returned_rows"] for span in heard.spans()} == {100}
        assert all(span.parent is not None for span in heard.spans())

    def test_of_asyncio_have_the_task_s_span_as_parent(self, heard, connection):
        async def main():
            with heard.tracer().start_as_current_span("task") as task:
                await asyncio.to_thread(lambda: connection.execute("select 1").fetchall())
            return task

        task = asyncio.run(main())
        assert heard.span().parent.span_id == task.get_span_context().span_id
