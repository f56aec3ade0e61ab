#!/usr/bin/env bash
# Compiles the static binary that the image holds, into dist/ (or $OUT). Runs on a host with cargo and
# inside the builder image alike, so it leans on nothing but cargo and a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-dist}

target=$(rustc -vV | sed -n 's/^host: //p')
[[ $target == *-linux-* ]] || { echo "build_static.sh: a Linux toolchain is needed, this one builds for $target" >&2; exit 1; }

# With --target the flags reach the program alone: build scripts and macros cannot be static.
RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --package lifeboat --target "$target"

mkdir -p "$out"
# Copied beside and renamed, so that a running `dist/lifeboat` is never written into.
cp "${CARGO_TARGET_DIR:-target}/$target/release/lifeboat" "$out/lifeboat.new"
mv -f "$out/lifeboat.new" "$out/lifeboat"
if ldd "$out/lifeboat" 2>/dev/null | grep '=>' >/dev/null; then
  echo "build_static.sh: $out/lifeboat still wants shared libraries" >&2
  exit 1
fi
echo "$out/lifeboat: $(du -k "$out/lifeboat" | cut -f1) KiB, static"
