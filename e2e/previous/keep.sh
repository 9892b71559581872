#!/usr/bin/env bash
# Keeps a revision as the one that tests upgrade from: what its programs are compiled from,
# its manifests, and the page with its Job. To be run in a clone that has the revision:
#   e2e/previous/keep.sh REVISION
set -euo pipefail
cd "$(dirname "$0")/../.."
git archive --format=tar "$1" -- \
	go.mod go.sum LICENSE README.md certs connector deploy exporter extender pkg webhook \
	':(exclude,glob)**/*_test.go' ':(exclude,glob)**/testdata/**' \
	':(exclude)connector/camera' ':(exclude)exporter/testmachine' |
	gzip -9n >e2e/previous/testdata/source.tar.gz
