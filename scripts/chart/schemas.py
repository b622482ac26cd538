"""Makes the JSON Schemas that kubeconform holds objects against: one file per kind, complete in itself.

usage: schemas.py WHEEL KUBERNETES CRDS.jsonl FOLDER

Kubernetes' own kinds are in the wheel of `kubernetes-validate`, where they share a file of definitions that kubeconform would not
find. The kinds of others are CustomResourceDefinitions, one a line.
"""

import json
import pathlib
import sys
import zipfile


def own_kinds(wheel, version):
    """Name of a file and schema of each kind that can stand alone."""
    archive = zipfile.ZipFile(wheel)
    base = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
    shared = json.loads(archive.read(base + "_definitions.json"))
    shared = shared.get("$defs") or shared["definitions"]
    for name in archive.namelist():
        if not name.startswith(base) or not name.endswith(".json") or name.endswith("_definitions.json"):
            continue
        schema = json.loads(archive.read(name))
        if "kind" in schema.get("properties", {}):
            yield name.removeprefix(base), complete(schema, shared)


def complete(schema, shared):
    """The schema with all definitions that it needs, directly or through others."""
    needed = set()
    schema = localised(schema, needed)
    definitions = {}
    while missing := needed - definitions.keys():
        for name in missing:
            definitions[name] = localised(shared[name], needed)
    return schema | {"$defs": definitions}


def localised(node, needed):
    """References into the shared file become references into the same file; what they name is noted."""
    if isinstance(node, list):
        return [localised(item, needed) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: localised(value, needed) for key, value in node.items()}
    if isinstance(node.get("$ref"), str):
        name = node["$ref"].rsplit("/", 1)[1]
        needed.add(name)
        node["$ref"] = "#/$defs/" + name
    return node


def kinds_of_others(lines):
    for line in lines:
        spec = json.loads(line)["spec"]
        for version in spec["versions"]:
            kind, group = spec["names"]["kind"].lower(), spec["group"].split(".")[0]
            yield f"{kind}-{group}-{version['name']}.json", closed(version["schema"]["openAPIV3Schema"])


def closed(node, is_root=True):
    """An API server drops keys that it does not know; here they are errors."""
    if isinstance(node, list):
        return [closed(item, False) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: closed(value, False) for key, value in node.items()}
    if isinstance(made.get("properties"), dict) and "additionalProperties" not in made:
        made["additionalProperties"] = bool(made.get("x-kubernetes-preserve-unknown-fields"))
    if is_root:
        made["properties"]["metadata"] = {"type": "object"}
    if made.pop("x-kubernetes-int-or-string", False):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return made


def main():
    wheel, version, crds, folder = sys.argv[1:]
    made = dict(own_kinds(wheel, version)) | dict(kinds_of_others(open(crds)))
    for name, schema in made.items():
        (pathlib.Path(folder) / name).write_text(json.dumps(schema))
    print(len(made), "schemas")


main()
