"""What the server of the agent does from time to time, and if it is asked for its toolsets."""

from cluster import product, toolset_config
from world import World

# From this version on, the server and its route `GET /api/info` share one method, so the route answers from what runs.
ASKED_SAFELY_SINCE = (0, 45, 0)


def the_agent_refreshes_every_five_minutes(world: World) -> None:
    file, _ = world.operator.file([toolset_config()])
    assert world.agents.info(file, {})["refresh_interval"] == 300


def the_server_has_one_method_for_what_runs(world: World) -> None:
    """The server program is not in the package of the agent. The package shows what its routes can use."""
    services = [product("Prometheus"), product("Loki")]
    file, _ = world.operator.file([*services, toolset_config()])
    hosts = world.hosts([*services, toolset_config()])
    world.agents.load(file, hosts, {}, [])
    of_one_start = len(world.backends.requests)
    answer = world.agents.info(file, hosts)
    of_both = len(world.backends.requests) - of_one_start
    assert answer["own_method"] == (world.version >= ASKED_SAFELY_SINCE), answer
    if answer["own_method"]:
        assert not answer["replaced"] and of_both == of_one_start, (answer, of_both, of_one_start)
    else:
        # The route of these versions used the arguments of the command line, which are another key of the cache.
        assert answer["replaced"] and of_both > of_one_start, (answer, of_both, of_one_start)
        world.limit("no")
