from __future__ import annotations

import asyncio

from wayline.lifecycle import end_all


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again():
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await end_all(tasks)

    assert all(task.cancelled() for task in tasks)
    assert swallowed == 2


async def test_there_may_be_no_task_to_end():
    await end_all([])
