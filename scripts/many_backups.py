#!/usr/bin/env python3
"""Fills a tier's folder with copies of the one backup in it, a day apart, for scripts/bench.sh.

many_backups.py FOLDER COUNT: manifests that chain as real ones do; the archives are hard links.
"""
import datetime
import hashlib
import json
import os
import pathlib
import sys

folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
(first_path,) = folder.glob("*.json")
first = json.loads(first_path.read_text())
newest = datetime.datetime.fromisoformat(first["created_at"].replace("Z", "+00:00"))
first_path.unlink()


def core(manifest):
    kept = {k: v for k, v in manifest.items() if k not in ("mac", "verified_at", "proofs")}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


previous = None
for sequence in range(1, count + 1):
    at = newest - datetime.timedelta(days=count - sequence)
    manifest = dict(first, sequence=sequence, id=f"{first['name']}_daily_{at:%Y%m%d_%H%M%S}")
    for member in ("created_at", "completed_at", "verified_at"):
        manifest[member] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest["archives"] = []
    for archive in first["archives"]:
        file = archive["file"].replace(first["id"], manifest["id"])
        if file != archive["file"]:
            # ext4 allows 65,000 names for one file.
            os.link(folder / archive["file"], folder / file)
            (folder / f"{file}.sha256").write_text(f"{archive['sha256']}  {file}\n")
        manifest["archives"].append(dict(archive, file=file))
    manifest.pop("previous", None)
    if previous:
        manifest["previous"] = previous
    (folder / f"{manifest['id']}.json").write_text(json.dumps(manifest, indent=2) + "\n")
    previous = {"id": manifest["id"], "sha256": hashlib.sha256(core(manifest)).hexdigest()}
