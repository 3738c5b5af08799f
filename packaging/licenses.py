#!/usr/bin/env python3
"""Prints the licences of every crate that the binary contains, each text once, as their terms ask for."""

import collections
import json
import pathlib
import subprocess

TARGET = "x86_64-unknown-linux-gnu"


def contained(metadata):
    """The packages that are linked in: normal dependencies, from the exporter on."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    found, todo = set(), [metadata["resolve"]["root"]]
    while todo:
        identity = todo.pop()
        if identity not in found:
            found.add(identity)
            for dependency in nodes[identity]["deps"]:
                if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                    todo.append(dependency["pkg"])
    own = metadata["resolve"]["root"]
    return sorted((packages[identity] for identity in found - {own}), key=lambda package: package["name"])


def texts(package):
    """What its folder holds of licences and notices."""
    for path in sorted(pathlib.Path(package["manifest_path"]).parent.iterdir()):
        if path.is_file() and path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")):
            yield path.read_text(encoding="utf-8", errors="replace").strip()


def main():
    command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={TARGET}"]
    packages = contained(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    owners = collections.defaultdict(list)
    print("campaign_exporter contains these libraries:\n")
    for package in packages:
        name = f"{package['name']} {package['version']}"
        print(f"{name}: {package['license'] or package['license_file']}")
        for text in texts(package):
            owners[text].append(name)
    for text, names in owners.items():
        print(f"\n{'-' * 79}\n{', '.join(names)}\n\n{text}")


if __name__ == "__main__":
    main()
