"""The page /docs: the OpenAPI document as plain HTML, without scripts or resources from other hosts."""

import base64
import hashlib
from html import escape

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .35rem 0 } summary code { font-weight: 600 }
details { border-top: 1px solid #8886 } h2 { margin-top: 2rem }
table { border-collapse: collapse; margin: .5rem 0 1rem } td { padding: .15rem 1rem .15rem 0; vertical-align: top }
"""
DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
DOCS_POLICY = (
    f"default-src 'none'; style-src 'sha256-{DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: browsers apply its own style and load nothing else."""


def render_docs(document: dict) -> str:
    """Render an OpenAPI document as an HTML page."""
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    body = "".join(f"<h2>{escape(name)}</h2>{''.join(entries)}" for name, entries in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f'<h1>{title}</h1><p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>{body}</body></html>'
    )


def _operation(method: str, path: str, operation: dict) -> str:
    """One operation: its description, parameters, request body and responses."""
    parameters = [(parameter["name"], _parameter(parameter)) for parameter in operation.get("parameters", [])]
    body = operation.get("requestBody", {})
    parameters += [(media_type, body.get("description", "")) for media_type in body.get("content", {})]
    responses = [(status, _response(response)) for status, response in operation["responses"].items()]
    description = escape(operation.get("description", ""))
    head = f"<summary><code>{method.upper()} {escape(path)}</code> {description}</summary>"
    return f"<details>{head}{_table('Takes', parameters)}{_table('Gives', responses)}</details>"


def _parameter(parameter: dict) -> str:
    """A parameter in words: where it is sent, its description, its choices."""
    schema = parameter.get("schema", {})
    choices = next((part["enum"] for part in [schema, *schema.get("anyOf", [])] if "enum" in part), [])
    words = [f"in the {parameter['in']}", parameter.get("description", ""), " ".join(map(str, choices))]
    return "; ".join(word.rstrip(".") for word in words if word)


def _response(response: dict) -> str:
    """A response in words: its description and media types."""
    types = ", ".join(response.get("content", {}))
    return f"{response['description']} ({types})" if types else response["description"]


def _table(name: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td><code>{escape(left)}</code></td><td>{escape(right)}</td></tr>" for left, right in rows)
    return f"<h4>{name}</h4><table>{lines}</table>"
