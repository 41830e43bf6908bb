"""Checks the direction of includes between layers, and who sees what library.

  common <- proto <- {metastore, federation} <- controller
  {common, proto, federation/view} <- client <- cli

Tests may include anything. What the client reaches, directly or through
other headers, is held to the second line. Each third-party library is
included in one folder of a layer only, so that its types and error codes are
translated there. A line of the tables below is how a rule is changed.
"""

import re
import sys

import source_tree

ALLOWED = {
    "common": ("common",),
    "proto": ("common", "proto"),
    "metastore": ("common", "proto", "metastore"),
    "federation": ("common", "proto", "federation"),
    "controller": ("common", "proto", "metastore", "federation",
                   "controller"),
    "client": ("common", "proto", "federation/view", "client"),
    "cli": ("common", "proto", "federation/view", "client", "cli"),
}

# (library, pattern of the include, folders that may have it)
LIBRARIES = [
    ("RocksDB", r"rocksdb/", ("metastore/store",)),
    ("librdkafka", r"librdkafka/", ("controller/kafka", "client/kafka")),
    ("ZooKeeper", r"zookeeper/", ("metastore/coord", "controller/kafka")),
    ("CLI11", r"CLI/", ("cli", "controller/server")),
    ("spdlog", r"spdlog/", ("common",)),
    ("gRPC", r"grpc(pp)?/|.*\.grpc\.pb\.h$",
     ("controller/rpc", "controller/peer", "controller/server", "client/rpc",
      "cli", "metastore/coord")),
    ("etcd's API", r"etcd/", ("metastore/coord",)),
    ("yaml-cpp", r"yaml-cpp/", ("controller/server", "cli")),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(name):
    """(line number, path) of every include of a file."""
    text = source_tree.read(name) or ""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(2)


def place(include):
    """Where an included file lives, seen from the root."""
    if include.startswith(("kafed/v1/", "etcd/")):
        return "proto/" + include
    return include


def layer_of(name):
    top = name.split("/", 1)[0]
    return top if top in source_tree.LAYERS else None


def check_direction(name, number, include):
    layer = layer_of(name)
    target = place(include)
    if layer is None or layer_of(target) is None:
        if layer and include.startswith(".."):
            return (f"{name}:{number}: relative include '{include}'; write "
                    "the path from the root")
        if layer and source_tree.in_folder(include, "tests"):
            return (f"{name}:{number}: {layer} includes '{include}'; only "
                    "tests may include tests")
        return None
    if any(source_tree.in_folder(target, ok) for ok in ALLOWED[layer]):
        return None
    return (f"{name}:{number}: {layer} includes '{include}'; {layer} may "
            f"include only {', '.join(ALLOWED[layer])}")


def check_library(name, number, include):
    if layer_of(name) is None:
        return None
    for library, pattern, folders in LIBRARIES:
        if not re.match(pattern, include):
            continue
        if any(source_tree.in_folder(name, folder) for folder in folders):
            return None
        return (f"{name}:{number}: includes {library} ('{include}'); only "
                f"{', '.join(folders)} may, others use what is there")
    return None


def check_reach(names, graph):
    """Headers that client or cli reach through others."""
    problems, reported = [], set()
    for start in names:
        layer = layer_of(start)
        if layer not in ("client", "cli"):
            continue
        came_from, queue = {start: None}, [start]
        while queue:
            name = queue.pop()
            for target in graph.get(name, ()):
                if target in came_from:
                    continue
                came_from[target] = name
                queue.append(target)
                if name == start or layer_of(target) in (None, "proto"):
                    continue
                ok = any(source_tree.in_folder(target, folder)
                         for folder in ALLOWED[layer])
                if not ok and (name, target) not in reported:
                    reported.add((name, target))
                    problems.append(
                        f"{name}: includes '{target}', which {start} thereby "
                        f"reaches; {layer} may reach only "
                        f"{', '.join(ALLOWED[layer])}")
    return problems


def check():
    names = [n for n in source_tree.cpp_files()]
    problems, graph = [], {}
    for name in names:
        graph[name] = []
        for number, include in includes(name):
            graph[name].append(place(include))
            for rule in (check_direction, check_library):
                problem = rule(name, number, include)
                if problem:
                    problems.append(problem)
    return problems + check_reach(names, graph)


def main():
    problems = check()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
