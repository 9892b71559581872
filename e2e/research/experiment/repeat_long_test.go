//go:build long

package main

import (
	"bytes"
	"regexp"
	"testing"
)

// TestLateExperiment compares early with late binding in the same way.
func TestLateExperiment(t *testing.T) {
	var said bytes.Buffer
	s, err := parse([]string{"-stretch", "3", "-interval", "6s", "-loads", "0.5"}, &said)
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	s.late = true
	if err := repeat(t.Context(), s, &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for _, want := range []string{
		`B: \S+ +- +[0-9.]+ .*( +-){5}\n`,             // early: no claims
		`B: \S+, late +- +[0-9.]+ .* +[1-9]\d* +\d+ `, // late: first claims got devices
		`\S+, late +50 % +[1-9]\d* +0 `,               // nobody is left unserved
	} {
		if !regexp.MustCompile(want).MatchString(said.String()) {
			t.Errorf("it printed nothing like %s:\n%s", want, said.String())
		}
	}
}

// TestExperiment runs all of it on real clusters, so short that its numbers
// mean nothing.
func TestExperiment(t *testing.T) {
	var said bytes.Buffer
	s, err := parse([]string{"-stretch", "3", "-interval", "6s", "-loads", "0.5", "-connector", "-deadlines", "1s"}, &said)
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if err := repeat(t.Context(), s, &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for _, want := range []string{
		`A: GPU +[1-9]\d* +[1-9]\d* +0 +0 +0 +6s +[0-9.]+ +- `, // everything on the GPU
		`B: \S+ +[1-9]\d* +[1-9]\d* .* 6s +[0-9.]+ +[+-][0-9.]+ %`,
		`C: \S+ +[1-9]\d* +[1-9]\d* .* 6s +[0-9.]+ +[+-][0-9.]+ %`,
		`B: \S+ +all +[1-9]\d*( +[0-9.]+s){5}`,
		`50 % +[1-9]\d* +0 `, // nobody is left unserved
		`A: GPU +cameras +[0-9.]+ +[0-9.]+s +[0-9.]+s +[0-9.]+ %`,
		`B: \S+ within 1s +cameras +[0-9.]+ +[0-9.]+s +[0-9.]+s +[0-9.]+ %`,
		`\S+ within 1s +50 % +[0-9.]+ +[0-9.]+s +[0-9.]+s +[0-9.]+ %`,
	} {
		if !regexp.MustCompile(want).MatchString(said.String()) {
			t.Errorf("it printed nothing like %s", want)
		}
	}
	if t.Failed() {
		t.Log(said.String())
	}
}
