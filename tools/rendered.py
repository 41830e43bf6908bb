"""Looks up one place in rendered manifests of the chart.

usage: rendered.py MANIFESTS PLACE VALUE

PLACE is KIND/NAME and a path below it (StatefulSet/kafed.spec.replicas; list
items by number, a dot in a key as \\.), or of the nodes: kafed.yaml/PROPERTY,
env/VARIABLE, or file/PATH, which is the SECRET:KEY mounted there. VALUE
"absent" stands for nothing. Fails, saying what is there, unless it is VALUE.
"""

import re
import sys

import yaml


def below(node, path):
    """The value that is at `path`, a list of keys; None if there is none."""
    for key in path:
        if isinstance(node, list):
            node = node[int(key)] if int(key) < len(node) else None
        elif isinstance(node, dict):
            node = node.get(key)
        else:
            return None
    return node


def is_of_nodes(document):
    """ZooKeeper's own objects have other labels."""
    name = document["metadata"]["labels"]["app.kubernetes.io/name"]
    return not name.endswith("-zookeeper")


def of_nodes(documents, kind):
    found = [document for document in documents
             if document["kind"] == kind and is_of_nodes(document)]
    if len(found) != 1:
        sys.exit(f"{len(found)} {kind}s of nodes")
    return found[0]


def mounted(pod, file):
    """SECRET:KEY that the first container finds at the path `file`."""
    for mount in pod["containers"][0]["volumeMounts"]:
        folder = mount["mountPath"] + "/"
        if not file.startswith(folder):
            continue
        for volume in pod["volumes"]:
            if volume["name"] != mount["name"]:
                continue
            secrets = [(volume["secret"]["secretName"], volume["secret"])] \
                if "secret" in volume else \
                [(source["secret"]["name"], source["secret"])
                 for source in below(volume, ["projected", "sources"]) or []]
            for name, secret in secrets:
                for item in secret["items"]:
                    if folder + item["path"] == file:
                        return name + ":" + item["key"]
    return None


def look_up(documents, place):
    kind, _, rest = place.partition("/")
    if kind == "kafed.yaml":
        text = of_nodes(documents, "ConfigMap")["data"]["kafed.yaml"]
        return yaml.safe_load(text).get(rest)
    if kind in ("env", "file"):
        pod = below(of_nodes(documents, "StatefulSet"),
                    ["spec", "template", "spec"])
        if kind == "file":
            return mounted(pod, "/" + rest)
        variables = {each["name"]: each.get("value")
                     for each in pod["containers"][0].get("env", [])}
        return variables.get(rest)
    name, *path = re.split(r"(?<!\\)\.", rest)
    path = [key.replace("\\.", ".") for key in path]
    found = [document for document in documents if document["kind"] == kind
             and document["metadata"]["name"] == name]
    return below(found[0], path) if found else None


def main():
    manifests, place, want = sys.argv[1:]
    with open(manifests, encoding="utf-8") as text:
        documents = [each for each in yaml.safe_load_all(text) if each]
    got = look_up(documents, place)
    told = "absent" if got is None else str(got)
    if told != want:
        sys.exit(f"{place}: is {told}, not {want}")


if __name__ == "__main__":
    main()
