#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs ONNX Runtime for Node into FOLDER, outside of the source tree, unless it is there.
#
# usage: bench/peers/install-onnxruntime.sh FOLDER
set -euo pipefail
version=1.30.0

if [ $# -ne 1 ]; then
  sed -n '3,5s/^# \{0,1\}//p' "$0"
  exit 2
fi
installed=$1/node_modules/onnxruntime-node/package.json
if grep -q "\"version\": \"$version\"" "$installed" 2>/dev/null; then exit 0; fi
mkdir -p "$1"
echo '{"private": true}' >"$1/package.json"
# Its install script would only fetch libraries for graphics processors.
npm install --prefix "$1" --ignore-scripts --no-audit --no-fund --no-save \
  --loglevel=error "onnxruntime-node@$version" >/dev/null
