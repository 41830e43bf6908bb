"""Made helm/schemas/ from Kubernetes' own API description.

usage: kubernetes_schemas.py SWAGGER_JSON OUT KIND...

SWAGGER_JSON is api/openapi-spec/swagger.json of the Go module
k8s.io/kubernetes (v1.34.4 for what is committed). Each KIND, such as
StatefulSet, becomes one JSON schema that refuses unknown fields, with what it
refers to inside it and without descriptions. Run by hand when the chart uses
a new kind; the check itself then needs no download.
"""

import json
import pathlib
import sys

PREFIX = "#/definitions/"
# Written as a string or as a number.
EITHER = ("intstr.IntOrString", "resource.Quantity")


def references(node, found, definitions):
    """Adds the names of all definitions that `node` needs."""
    if isinstance(node, list):
        for item in node:
            references(item, found, definitions)
    if not isinstance(node, dict):
        return
    target = node.get("$ref")
    if isinstance(target, str):
        name = target[len(PREFIX):]
        if name not in found:
            found.add(name)
            references(definitions[name], found, definitions)
    for item in node.values():
        references(item, found, definitions)


def strict(node):
    """A copy that refuses unknown fields and carries no prose."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"].replace(PREFIX, "#/$defs/")}
    out = {}
    for key, value in node.items():
        # A property may itself be called "description" or "format".
        if key in ("description", "format") and isinstance(value, str):
            continue
        if not key.startswith("x-kubernetes-"):
            out[key] = strict(value)
    if "properties" in out and isinstance(out.get("type"), str):
        out["additionalProperties"] = False
    return out


def schema_of(name, definitions):
    node = strict(definitions[name])
    if name.endswith(EITHER):
        node = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    return node


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    swagger, out, kinds = sys.argv[1], sys.argv[2], set(sys.argv[3:])
    definitions = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    for name, definition in sorted(definitions.items()):
        for which in definition.get("x-kubernetes-group-version-kind", []):
            if which["kind"] not in kinds:
                continue
            found = set()
            references(definition, found, definitions)
            schema = schema_of(name, definitions)
            schema["$defs"] = {other: schema_of(other, definitions)
                               for other in sorted(found)}
            folder = pathlib.Path(out) / (which["group"] or "v1")
            folder.mkdir(parents=True, exist_ok=True)
            file = f"{which['kind'].lower()}_{which['version']}.json"
            (folder / file).write_text(
                json.dumps(schema, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
