"""Late events, refused requests, a second controller: never one too many, in the end what was asked for."""

import asyncio
import random

import pytest
from aiohttp import web

from .line import Line
from .scenario import STEPS

pytestmark = pytest.mark.core


async def play(scene):
    for step in STEPS:
        await step(scene)
        await scene.until(scene.reported if step is STEPS[-2] else scene.settled)


def refusal(status, reason, **headers):
    body = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": "a test's"}
    return web.json_response(body, status=status, headers=headers)


def refusing(seed, share=0.15):
    """Refuse requests at random; a conflict only where there can be one."""
    draw = random.Random(seed)

    def refuse(request):
        if draw.random() > share:
            return None
        match draw.choice([409, 429, 500, 503] if request.method == "PATCH" else [429, 500, 503]):
            case 409:
                return refusal(409, "Conflict")
            case 429:
                return refusal(429, "TooManyRequests", **{"Retry-After": "1"})
            case 503:
                return refusal(503, "ServiceUnavailable")
            case _:
                return refusal(500, "InternalError")

    return refuse


async def test_late_events(stage, unique):
    """The cache is behind, each watch by its own time."""

    async def one(number):
        random.seed(number)
        scene = await stage.scene(f"{unique}-{number}", Line(late=0.15))
        async with scene.controller():
            await play(scene)

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(one(number))


async def test_refused_requests(stage, unique):
    async def one(seed):
        scene = await stage.scene(f"{unique}-{seed}", Line(refuse=refusing(seed)))
        # A deletion that ends in an error may have been done: for a while it counts as done.
        scene.spare = 2
        async with scene.controller():
            await play(scene)

    async with asyncio.TaskGroup() as tasks:
        for seed in range(4):
            tasks.create_task(one(seed))


async def test_two_controllers_for_a_while(stage, unique):
    """A second one starts before each of the steps."""

    async def one(number):
        scene = await stage.scene(f"{unique}-{number}")
        async with scene.controller() as first:
            for step in STEPS[:number]:
                await step(scene)
                await scene.until(scene.settled)
            # Without a leader, each replaces a worker that one sees going and the other sees gone.
            scene.spare = 1
            async with scene.controller() as second:
                await first.ready.wait()
                await second.ready.wait()
                for step in STEPS[number:]:
                    await step(scene)
                    await scene.until(scene.reported if step is STEPS[-2] else scene.settled)

    async with asyncio.TaskGroup() as tasks:
        for number in range(len(STEPS)):
            tasks.create_task(one(number))
