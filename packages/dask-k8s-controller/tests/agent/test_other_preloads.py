"""Preloads of the image and of the user's template load, though the agent's configuration overrides them."""

import json

import pytest

USERS = """
import logging
import click
log = logging.getLogger("distributed.users")

def dask_setup(scheduler):
    log.info("{name} set up with %s", scheduler.address)

def dask_teardown(scheduler):
    log.info("{name} torn down")
"""
WITH_ARGUMENTS = """
import logging
import click

@click.command()
@click.option("--word")
def dask_setup(scheduler, word):
    logging.getLogger("distributed.users").info("got %s", word)
"""
FAILS = {
    "import": "raise OSError('no licence')",
    "set-up": "def dask_setup(scheduler): raise OSError('no licence')",
}


@pytest.fixture
def write(world):
    """Write a preload; return its path."""

    def write(name: str, content: str = USERS) -> str:
        path = world.folder / f"{name}.py"
        path.write_text(content.replace("{name}", name))
        return str(path)

    return write


def configure(world, **scheduler):
    """Write the image's configuration, for a scheduler that is not forked; JSON is valid YAML."""
    folder = world.folder / "config"
    folder.mkdir()
    (folder / "image.yaml").write_text(json.dumps({"distributed": {"scheduler": scheduler}}))


async def answers(world):
    """Return whether the agent answers."""
    return (await world.ask("GET", "idle"))[0] == 200


async def test_of_the_image(world, write):
    configure(world, preload=[write("first"), write("second")])
    await world.start(forks=False)
    assert await answers(world)
    assert world.log.count("first set up") == world.log.count("second set up") == 1
    world.scheduler.terminate()
    await world.scheduler.wait()
    torn_down = [line.split(" - ")[-1] for line in world.log.splitlines() if "torn down" in line]
    assert torn_down == ["second torn down", "first torn down"]


async def test_of_the_template_instead_of_those_of_the_image(world, write):
    configure(world, preload=write("image"))
    await world.start(forks=False, DASK_K8S_PRELOAD=json.dumps([write("template")]))
    assert await answers(world)
    assert world.log.count("template set up") == 1
    assert "image set up" not in world.log


async def test_written_as_a_plain_path(world, write):
    await world.start(DASK_K8S_PRELOAD=write("mine"))
    assert await answers(world)
    assert world.log.count("mine set up") == 1


async def test_an_empty_list_of_the_template_overrides_those_of_the_image(world, write):
    configure(world, preload=write("image"))
    await world.start(forks=False, DASK_K8S_PRELOAD="[]")
    assert await answers(world)
    assert "image set up" not in world.log


async def test_with_arguments(world, write):
    both = [write("plain"), write("talker", WITH_ARGUMENTS)]
    configure(world, preload=both, **{"preload-argv": [[], ["--word", "hello"]]})
    await world.start(forks=False, DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV="[]")
    assert await answers(world)
    assert "got hello" in world.log


async def test_arguments_of_the_template(world, write):
    await world.start(
        DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV="[]",
        DASK_K8S_PRELOAD=write("talker", WITH_ARGUMENTS),
        DASK_K8S_PRELOAD_ARGV="['--word', 'hello']",
    )
    assert await answers(world)
    assert "got hello" in world.log


@pytest.mark.parametrize("content", FAILS.values(), ids=FAILS)
async def test_one_that_fails_stops_nothing(world, write, content):
    await world.start(DASK_K8S_PRELOAD=json.dumps([write("fails", content), write("works")]))
    assert await answers(world)
    assert "preload: " + str(world.folder / "fails.py") in world.log
    assert "OSError: no licence" in world.log
    assert world.log.count("works set up") == 1


@pytest.mark.parametrize("value", ["7", "[7, 'no_such_module']", "/no/such/file.py"])
async def test_nonsense_stops_nothing(world, value):
    await world.start(DASK_K8S_PRELOAD=value)
    assert await answers(world)
    assert "Traceback" in world.log


async def test_with_preloads_on_the_command_line_the_configuration_is_ignored(world, write):
    configure(world, preload=write("image"))
    ours = ["--preload", str(world.agent), "--preload", write("mine")]
    await world.start(*ours, forks=False, DASK_K8S_PRELOAD=write("template"))
    assert await answers(world)
    assert world.log.count("mine set up") == 1
    assert "image set up" not in world.log
    assert "template set up" not in world.log


async def test_an_image_that_names_the_agent_itself(world, write):
    configure(world, preload=[str(world.agent), write("image")])
    await world.start(forks=False)
    assert await answers(world)
    assert world.log.count("image set up") == 1
    assert world.log.count(f"Run preload setup: {world.agent}") == 1


async def test_a_broken_agent_leaves_the_scheduler_alone(world):
    broken = world.folder / "broken.py"
    broken.write_text(world.agent.read_text() + "\nAgent.__init__ = None\n")
    await world.start(preload=broken)
    await world.workers("worker")
    assert await world.run("answer = client.submit(int, '7').result()") == 7
    assert "Failed to start preload" in world.log
