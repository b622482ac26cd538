"""Says where objects of a cluster are not what a chart says of them.

usage: subset.py MANIFEST.jsonl LIVE.json

What a server adds (defaults, status, times) is not looked at: all that the manifest says must be in the object, with that value.
"""

import json
import sys


def main():
    live = {name(o): o for o in json.load(open(sys.argv[2]))["items"]}
    wrong = []
    for line in open(sys.argv[1]):
        said = json.loads(line)
        wrong += [f"{' '.join(name(said))}{d}" for d in differences(said, live.get(name(said)), "")]
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


def name(o):
    return o["kind"], o["metadata"]["name"]


def differences(said, is_so, path):
    if isinstance(said, dict) and isinstance(is_so, dict):
        for key, value in said.items():
            yield from differences(value, is_so.get(key), f"{path}.{key}")
    elif isinstance(said, list) and isinstance(is_so, list) and len(said) == len(is_so):
        for at, (one, other) in enumerate(zip(said, is_so)):
            yield from differences(one, other, f"{path}[{at}]")
    # A server does not keep what is empty.
    elif said != is_so and not (is_so is None and said in (None, "", [], {})):
        yield f"{path}: the chart says {said!r}, the cluster has {is_so!r}"


main()
