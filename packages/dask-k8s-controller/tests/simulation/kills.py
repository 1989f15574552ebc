"""The controller is killed at every write that it makes; the world is what was asked for all the same."""

import asyncio

from .line import Fate, Line
from .scenario import BEFORE, STEPS, Scene
from .stage import Stage

AT_A_TIME = 32


async def play(scene: Scene, steps: list, strike_at: int) -> bool:
    """Play steps; whether the controller was killed at a write. The next edit comes while it is down."""
    async with scene.controller():
        if steps[0] in BEFORE:
            replicas, scene.edit = BEFORE[steps[0]]
            await scene.create(replicas)
            await scene.until(scene.reported)
        scene.line.strike_at = len(scene.line.writes) + strike_at
        while steps:
            await steps.pop(0)(scene)
            if not await settles(scene, steps):
                break
        else:
            return False
    await scene.line.mend()
    if steps:
        await steps.pop(0)(scene)
    async with scene.controller() as controller:
        await controller.ready.wait()
        await scene.line.deliver()
        await scene.until(goal(scene, steps))
        while steps:
            await steps.pop(0)(scene)
            await scene.until(goal(scene, steps))
    return True


async def count_writes(scene: Scene) -> list[int]:
    """Play all steps undisturbed; return how many writes each has."""
    counts = []
    steps = list(STEPS)
    async with scene.controller():
        while steps:
            before = len(scene.line.writes)
            await steps.pop(0)(scene)
            await scene.until(goal(scene, steps))
            counts.append(len(scene.line.writes) - before)
    return counts


async def settles(scene: Scene, steps: list) -> bool:
    """Wait until all is as it should be, or the line is struck."""
    settling = asyncio.create_task(scene.until(goal(scene, steps)))
    striking = asyncio.create_task(scene.line.struck.wait())
    await asyncio.wait([settling, striking], return_when=asyncio.FIRST_COMPLETED)
    striking.cancel()
    if settling.done():
        await settling
        return True
    settling.cancel()
    return False


def goal(scene: Scene, steps: list):
    """The scene has settled; before the last step the statuses must say so, too."""
    return scene.reported if len(steps) == 1 else scene.settled


async def kill_at_every_write(stage: Stage, unique: str, fate: Fate) -> None:
    """Play the scene once for each write, and kill the controller at it."""
    counts = await count_writes(await stage.scene(f"{unique}-0"))
    some_at_a_time = asyncio.Semaphore(AT_A_TIME)
    killed = []

    async def kill_in(step: int, number: int) -> None:
        async with some_at_a_time:
            scene = await stage.scene(f"{unique}-{step}-{number}", Line(fate=fate))
            # What arrives late may be a worker too many for a while: the next controller chose another name.
            scene.spare = int(fate is Fate.LATE)
            # The step, the next one, the deletion: the steps before it have no part in how it ends.
            steps = [*STEPS[step : step + 2], STEPS[-1]] if step < len(STEPS) - 2 else list(STEPS[step:])
            if await play(scene, steps, number):
                killed.append((step, number))

    async with asyncio.TaskGroup() as tasks:
        for step, count in enumerate(counts):
            for number in range(1, count + 1):
                tasks.create_task(kill_in(step, number))
    # How many statuses are written depends on the pace of the machine.
    assert len(killed) > 0.8 * sum(counts)
