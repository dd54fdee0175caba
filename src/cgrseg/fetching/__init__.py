"""Pictures by their addresses, for callers who are strangers: whatever they name, nothing inside a network is reached.

URL -- parse: http(s), ports 80 and 443, no password
    -- resolve, once -- every address public? -- connect to one of exactly these, TLS by the host's name
    -- answer: 200 --> the body, as long as it may be
             redirect --> the same again, a few times
"""

from cgrseg.fetching.addresses import Endpoint, Target, is_public, parse_url, resolve
from cgrseg.fetching.fetcher import Fetcher

__all__ = ["Endpoint", "Fetcher", "Target", "is_public", "parse_url", "resolve"]
