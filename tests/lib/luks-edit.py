#!/usr/bin/env python3
"""Edits the LUKS2 header of a volume: luks-edit.py FILE get|set|delete MEMBER [JSON], luks-edit.py FILE uuid UUID.

MEMBER is a path such as segments/0/encryption; JSON is its new value: '"cipher_null-ecb"'.
"""

import json
import sys

from luks_edit import edit_header, read_header, set_uuid


def parent_of(metadata, member):
    """The object or list that holds the member, and the member's key in it."""
    *folders, last = member.split("/")
    for folder in folders:
        metadata = metadata[int(folder)] if isinstance(metadata, list) else metadata[folder]
    return metadata, int(last) if isinstance(metadata, list) else last


def set_member(metadata, member, value):
    parent, key = parent_of(metadata, member)
    parent[key] = value


def delete_member(metadata, member):
    parent, key = parent_of(metadata, member)
    del parent[key]


def main(arguments):
    match arguments:
        case [path, "get", member]:
            parent, key = parent_of(read_header(path), member)
            print(json.dumps(parent[key]))
        case [path, "set", member, text]:
            edit_header(path, lambda metadata: set_member(metadata, member, json.loads(text)))
        case [path, "delete", member]:
            edit_header(path, lambda metadata: delete_member(metadata, member))
        case [path, "uuid", uuid]:
            set_uuid(path, uuid)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
