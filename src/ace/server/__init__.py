"""The server: OpenAI's API over any provider, with a run's playbook in front of every request."""

from ace.server.api_server import Server, create_app
from ace.server.client_keys import KeySettings, read_keys
from ace.server.draining_server import DrainingServer
from ace.server.engine_upstream import EngineUpstream
from ace.server.served_playbook import PlaybookSource
from ace.server.upstream import EndpointUpstream, Upstream

__all__ = [
    "DrainingServer",
    "EndpointUpstream",
    "EngineUpstream",
    "KeySettings",
    "PlaybookSource",
    "Server",
    "Upstream",
    "create_app",
    "read_keys",
]
