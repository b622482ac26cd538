#!/usr/bin/env python3
"""Writes the bill of materials of the binary, CycloneDX 1.6 in JSON, from what Cargo says of the locked dependencies.

    scripts/sbom.py [--target TRIPLE] >lazaret.cdx.json
    scripts/sbom.py --check          that one can be written, and is valid by the schema of CycloneDX

A crate of which nothing but code that runs during the build is used has the scope `excluded`. C libraries that crates carry are
components of their own. The same sources give the same file. Needs Cargo and nothing but Python's own library; `--check` takes a
validator from `scripts/parts.sh sbom home`.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
# C libraries that are compiled into the binary: the crate that carries it, its address by version, its licence, where its version is.
CARRIED = {
    "rdkafka-sys": ("librdkafka", "pkg:github/confluentinc/librdkafka@v{}", "BSD-2-Clause", lambda crate: crate["version"].split("+")[1]),
    "zstd-sys": ("zstd", "pkg:github/facebook/zstd@v{}", "BSD-3-Clause", lambda crate: crate["version"].split("+zstd.")[1]),
    "curl-sys": ("curl", "pkg:github/curl/curl@curl-{}", "curl", lambda crate: crate["version"].split("+curl-")[1]),
    "libmimalloc-sys": ("mimalloc", "pkg:github/microsoft/mimalloc@v{}", "MIT", lambda crate: mimalloc(crate)),
    "libsqlite3-sys": ("sqlite", "pkg:generic/sqlite@{}", "blessing", lambda crate: sqlite(crate)),
}


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def host():
    told = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^host: (.+)$", told, re.M).group(1)


def mimalloc(crate):
    header = pathlib.Path(crate["manifest_path"]).parent / "c_src/mimalloc/v3/include/mimalloc.h"
    number = int(re.search(r"#define MI_MALLOC_VERSION +(\d+)", header.read_text()).group(1))
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def sqlite(crate):
    header = pathlib.Path(crate["manifest_path"]).parent / "sqlite3/sqlite3.h"
    return re.search(r'#define SQLITE_VERSION +"(.+)"', header.read_text()).group(1)


def tree(target, edges):
    """Names and versions of the crates along such edges. Cargo's metadata count in what only tests make others use; this does not."""
    told = cargo("tree", "--locked", "--target", target, "--edges", edges, "--prefix", "none", "--format", "{p}")
    words = (line.split() for line in told.splitlines() if line)
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def key(crate):
    return crate["name"], crate["version"]


def purl(crate):
    return f"pkg:cargo/{crate['name']}@{urllib.parse.quote(crate['version'], safe='.-')}"


def licences(crate):
    if crate["license"]:
        # As they were written before there were expressions.
        return [{"expression": re.sub(r"\s*/\s*", " OR ", crate["license"])}]
    return [{"license": {"name": crate["license_file"] or "unknown"}}]


def component(crate, is_inside, checksums):
    said = {
        "type": "library",
        "bom-ref": purl(crate),
        "name": crate["name"],
        "version": crate["version"],
        "description": crate["description"],
        "scope": "required" if is_inside else "excluded",
        "licenses": licences(crate),
        "purl": purl(crate),
    }
    if not said["description"]:
        del said["description"]
    if checksum := checksums.get(key(crate)):
        said["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if crate["repository"]:
        said["externalReferences"] = [{"type": "vcs", "url": crate["repository"]}]
    return said


def carried(crate):
    name, address, licence, version = CARRIED[crate["name"]]
    found = version(crate)
    return {
        "type": "library",
        "bom-ref": address.format(found),
        "name": name,
        "version": found,
        "scope": "required",
        "licenses": [{"license": {"id": licence}}],
        "purl": address.format(found),
    }


def bill(target):
    told = json.loads(cargo("metadata", "--format-version", "1", "--locked", "--filter-platform", target))
    crates = {crate["id"]: crate for crate in told["packages"]}
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    root = told["resolve"]["root"]
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {key(crate): crate.get("checksum") for crate in locked}
    inside, everything = tree(target, "normal,no-proc-macro"), tree(target, "normal,build")

    components, graph = [], []
    for crate in sorted((crate for crate in crates.values() if key(crate) in everything), key=purl):
        used = [crates[used["pkg"]] for used in nodes[crate["id"]]["deps"] if {kind["kind"] for kind in used["dep_kinds"]} != {"dev"}]
        needs = {purl(one) for one in used if key(one) in everything}
        if crate["id"] != root:
            components.append(component(crate, key(crate) in inside, checksums))
        if crate["name"] in CARRIED:
            components.append(carried(crate))
            needs.add(components[-1]["bom-ref"])
            graph.append({"ref": components[-1]["bom-ref"]})
        graph.append({"ref": purl(crate), "dependsOn": sorted(needs)})

    ours = component(crates[root], True, {})
    ours["type"] = "application"
    del ours["scope"]
    said = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "lazaret scripts/sbom.py"}]},
            "component": ours,
            "properties": [
                {"name": "lazaret:target", "value": target},
                {"name": "lazaret:revision", "value": os.environ.get("LAZARET_REVISION", "unknown")},
            ],
        },
        "components": components,
        "dependencies": graph,
    }
    # The same for the same contents, as everything here.
    said["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(said, sort_keys=True)).urn
    return said


def complaints(said):
    """What is wrong with a bill, in words."""
    refs = [one["bom-ref"] for one in said["components"]] + [said["metadata"]["component"]["bom-ref"]]
    yield from (f"{ref} is there twice" for ref, count in collections.Counter(refs).items() if count > 1)
    for line in said["dependencies"]:
        yield from (f"{line['ref']} needs {used}, which is not there" for used in line.get("dependsOn", []) if used not in refs)
    yield from (f"{one['name']} has no licence" for one in said["components"] if one["licenses"] == [{"license": {"name": "unknown"}}])
    names = {one["name"] for one in said["components"]}
    yield from (f"{crate} carries {name}, and nothing uses it" for crate, (name, *_) in CARRIED.items() if name not in names)

    home = subprocess.run(["scripts/parts.sh", "sbom", "home"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    sys.path.insert(0, home)
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError as error:
        sys.exit(f"error: no validator ({error}); scripts/parts.sh sbom install")
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(said)):
        yield str(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default=None)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    said = bill(arguments.target or host())
    if arguments.check:
        wrong = list(complaints(said))
        inside = sum(one["scope"] == "required" for one in said["components"])
        print("\n".join(wrong) or f"{inside} components in the binary, {len(said['components']) - inside} only in the build: valid")
        sys.exit(bool(wrong))
    print(json.dumps(said, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
