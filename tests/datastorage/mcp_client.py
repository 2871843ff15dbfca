"""Lists and calls the tools of an MCP server with the real Python client, version 1 or 2.

The arguments are the address, the token, and a list of calls as JSON: [[name, arguments], ...]. Prints one JSON object.
"""

import asyncio
import json
import sys
from importlib.metadata import version


def described(tools):
    """What a client of either version learns about the tools."""
    # Version 2 has other names in Python and the same ones in JSON.
    return [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in tools]


def called(result):
    answer = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return {"text": "".join(part["text"] for part in answer["content"]), "isError": answer.get("isError", False)}


async def version_1(url, token, calls):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with streamablehttp_client(url, headers={"Authorization": f"Bearer {token}"}) as (read, write, _):
        async with ClientSession(read, write) as session:
            server = await session.initialize()
            await session.send_ping()
            tools = await session.list_tools()
            results = [called(await session.call_tool(name, arguments)) for name, arguments in calls]
    return server.protocolVersion, described(tools.tools), results


async def version_2(url, token, calls):
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            tools = await client.list_tools()
            results = [called(await client.call_tool(name, arguments)) for name, arguments in calls]
            return client.protocol_version, described(tools.tools), results


def main():
    url, token, calls = sys.argv[1:]
    library = version("mcp")
    client = version_1 if library.startswith("1.") else version_2
    protocol, tools, results = asyncio.run(client(url, token, json.loads(calls)))
    print(json.dumps({"library": library, "protocol": protocol, "tools": tools, "results": results}))


main()
