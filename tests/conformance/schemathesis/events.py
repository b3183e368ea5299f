"""Lets `schemathesis` read the streams of the document.

Under `text/event-stream` the document has the schema of the data of one event. `schemathesis` takes it for that of the
event with its fields `event` and `data`, so it is told here where the data is: each event of a stream is then held to it.
"""

from __future__ import annotations

from typing import Any

import schemathesis


def event(data: dict[str, Any]) -> dict[str, Any]:
    """The schema of an event whose data has a schema, or that ends a stream of chat completions."""
    json = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {"type": "object", "properties": {"data": {"anyOf": [json, {"const": "[DONE]"}]}}, "required": ["data"]}


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    operations = (operation for path in raw_schema["paths"].values() for operation in path.values())
    for operation in operations:
        for answer in operation.get("responses", {}).values() if isinstance(operation, dict) else []:
            stream = answer.get("content", {}).get("text/event-stream")
            if stream:
                stream["itemSchema"] = event(stream.pop("schema"))
