#!/bin/sh
# Checks that need no test run. Every finding fails.
set -eu
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
	printf 'not gofmt-ed:\n%s\n' "$unformatted" >&2
	exit 1
fi
go mod tidy -diff
go vet ./...
go tool staticcheck ./...
# The tests on real nodes, those that take long, and those of faults, as well.
go vet -tags cluster,long,faults ./e2e/...
go tool staticcheck -tags cluster,long,faults ./e2e/...
