#!/bin/sh
# Fuzzes every fuzz test of the tree, each for the time given.
set -eu
for package in $(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u); do
	for test in $(git grep -ho '^func Fuzz[A-Za-z]*' -- "$package/*_test.go" | cut -d ' ' -f 2); do
		go test -run '^$' -fuzz "^$test\$" -fuzztime "$1" "./$package"
	done
done
