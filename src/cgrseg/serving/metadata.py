"""The page /docs: the OpenAPI document as plain HTML, that needs no script and nothing from another host."""

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
POLICY = f"default-src 'none'; style-src 'sha256-{DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What the browser may load for the page: its own style."""


def describe(document: dict) -> str:
    """The page of an OpenAPI document."""
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    body = "".join(f"<h2>{escape(name)}</h2>{''.join(told)}" for name, told in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f'<h1>{title}</h1><p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>{body}</body></html>'
    )


def _operation(method: str, path: str, operation: dict) -> str:
    """One address: what it does, takes and gives."""
    takes = [(given["name"], _given(given)) for given in operation.get("parameters", [])]
    body = operation.get("requestBody", {})
    takes += [(kind, body.get("description", "")) for kind in body.get("content", {})]
    gives = [(status, _answer(answer)) for status, answer in operation["responses"].items()]
    told = escape(operation.get("description", ""))
    head = f"<summary><code>{method.upper()} {escape(path)}</code> {told}</summary>"
    return f"<details>{head}{_table('Takes', takes)}{_table('Gives', gives)}</details>"


def _given(parameter: dict) -> str:
    """A parameter in words: where it stands, what it may be."""
    schema = parameter.get("schema", {})
    choices = next((part["enum"] for part in [schema, *schema.get("anyOf", [])] if "enum" in part), [])
    words = [f"in the {parameter['in']}", parameter.get("description", ""), " ".join(map(str, choices))]
    return "; ".join(word.rstrip(".") for word in words if word)


def _answer(answer: dict) -> str:
    """An answer in words: what it is, of which types."""
    types = ", ".join(answer.get("content", {}))
    return f"{answer['description']} ({types})" if types else answer["description"]


def _table(name: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td><code>{escape(left)}</code></td><td>{escape(right)}</td></tr>" for left, right in rows)
    return f"<h4>{name}</h4><table>{lines}</table>"
